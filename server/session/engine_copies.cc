// Export, import and fork.
#include <algorithm>
#include <chrono>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/session/engine.h"
#include "server/session/random_id.h"
#include "server/session/session_contents.h"
#include "server/session/session_key.h"

namespace dropoutd {

absl::StatusOr<std::string> Engine::ExportSession(std::string_view session_id) {
  DROPOUTD_ASSIGN_OR_RETURN(SessionContents contents,
                            keeper_.Contents(session_id, limits_.max_snapshot_bytes));
  return EncodeSnapshot({RandomSeed(), std::move(contents)});
}

absl::StatusOr<SessionView> Engine::ImportSession(std::string session_id,
                                                  std::string_view snapshot) {
  DROPOUTD_ASSIGN_OR_RETURN(Snapshot decoded, DecodeSnapshot(snapshot));
  return AddCopy(std::move(session_id), std::move(decoded.contents), decoded.id);
}

absl::StatusOr<SessionView> Engine::ForkSession(std::string_view session_id,
                                                std::string new_session_id) {
  DROPOUTD_ASSIGN_OR_RETURN(SessionContents contents,
                            keeper_.Contents(session_id, limits_.max_snapshot_bytes));
  const std::uint64_t origin = contents.image.incarnation;
  return AddCopy(std::move(new_session_id), std::move(contents), origin);
}

absl::StatusOr<SessionView> Engine::AddCopy(std::string session_id, SessionContents contents,
                                            std::uint64_t origin) {
  DROPOUTD_RETURN_IF_ERROR(CheckSessionId(SessionIdOf(session_id)));
  if (SessionIdOf(session_id).empty()) session_id += RandomId();
  DROPOUTD_ASSIGN_OR_RETURN(SessionParts parts, TakeApart(contents));
  SessionImage& image = contents.image;
  if (std::max(image.layers.size(), image.created_layers.size()) > limits_.max_layers_per_session) {
    return MakeError(Reason::kQuotaLayers, "the session has more layers than this server allows");
  }
  image.incarnation = RandomSeed();
  image.origin = origin;
  image.ttl = std::min<std::int64_t>(image.ttl, limits_.max_ttl.count());
  image.create_time =
      std::chrono::duration_cast<Nanoseconds>(clock_.WallNow().time_since_epoch()).count();
  DROPOUTD_ASSIGN_OR_RETURN(std::shared_ptr<Session> made,
                            Session::FromImage(session_id, image, parts.parameters,
                                               limits_.max_layers_per_session, budget_, clock_));
  // A store has its steps from the fields.
  if (keeper_.store() == nullptr) DROPOUTD_RETURN_IF_ERROR(made->Install(std::move(parts)));
  DROPOUTD_ASSIGN_OR_RETURN(
      const std::shared_ptr<Session> session,
      keeper_.Create(
          std::move(made),
          [origin](const Session& existing) { return existing.origin() == origin; },
          contents.fields));
  return session->View();
}

}  // namespace dropoutd
