// Export, import and fork.
#include <algorithm>
#include <optional>
#include <utility>

#include "server/base/random_id.h"
#include "server/base/status_macros.h"
#include "server/engine/engine.h"
#include "server/persistence/session_contents.h"
#include "server/persistence/snapshot_file.h"
#include "server/session/quota_terms.h"
#include "server/session/session_key.h"

namespace dropoutd {

absl::StatusOr<std::string> Engine::ExportSession(std::string_view session_id) {
  DROPOUTD_ASSIGN_OR_RETURN(SessionContents contents,
                            repository_->Contents(session_id, limits_.max_snapshot_bytes));
  return EncodeSnapshot({Token::Random(), std::move(contents)});
}

absl::StatusOr<SessionView> Engine::ImportSession(std::string session_id,
                                                  std::string_view snapshot) {
  DROPOUTD_ASSIGN_OR_RETURN(Snapshot decoded, DecodeSnapshot(snapshot));
  return AddCopy(std::move(session_id), std::move(decoded.contents), decoded.id);
}

absl::StatusOr<SessionView> Engine::ForkSession(std::string_view session_id,
                                                std::string new_session_id) {
  DROPOUTD_ASSIGN_OR_RETURN(SessionContents contents,
                            repository_->Contents(session_id, limits_.max_snapshot_bytes));
  const Token origin = contents.image.incarnation;
  contents.image.ttl_given = kNoSpec;
  return AddCopy(std::move(new_session_id), std::move(contents), origin);
}

absl::StatusOr<SessionView> Engine::AddCopy(std::string session_id, SessionContents contents,
                                            Token origin) {
  DROPOUTD_RETURN_IF_ERROR(CheckSessionId(SessionIdOf(session_id)));
  if (SessionIdOf(session_id).empty()) session_id += RandomId();
  Repository::Copied copied;
  DROPOUTD_ASSIGN_OR_RETURN(copied.parts, TakeApart(contents));
  copied.fields = std::move(contents.fields);
  SessionImage& image = contents.image;
  const std::size_t layers = std::max(image.layers.size(), image.created_layers.size());
  if (layers > limits_.max_layers_per_session) {
    return QuotaError(LayerTerms(limits_.max_layers_per_session), QuotaLimit::kTenant, layers,
                      std::nullopt);
  }
  image.incarnation = Token::Random();
  image.origin = origin;
  image.ttl = std::min(image.ttl, limits_.max_ttl);
  image.create_time = clock_.WallNow();
  const TenantBudgetRef tenant = budgets_.Open(TenantOf(session_id));
  DROPOUTD_RETURN_IF_ERROR(ChargeParameters(image, *tenant));
  DROPOUTD_ASSIGN_OR_RETURN(
      const FoundSession found,
      repository_->Create(
          session_id, std::make_shared<const SessionImage>(std::move(image)),
          [&](const SessionImage& existing) { return existing.origin == origin; }, &copied));
  return ViewOf(found);
}

// The parameters of a copy are its own, though the tensors may be shared.
absl::Status Engine::ChargeParameters(SessionImage& image, const TenantBudget& tenant) {
  const bool may_refuse = budgets_.holding() == Holding::kOriginals;
  for (auto& [id, layer] : image.layers) {
    if (layer->parameters == nullptr) continue;
    auto charged = std::make_shared<LayerImage>(*layer);
    DROPOUTD_ASSIGN_OR_RETURN(
        charged->parameters,
        budgets_.ChargeParameters(tenant, Parameters(*layer->parameters), may_refuse, nullptr));
    layer = std::move(charged);
  }
  return absl::OkStatus();
}

}  // namespace dropoutd
