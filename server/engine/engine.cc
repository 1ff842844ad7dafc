#include "server/engine/engine.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/error.h"
#include "server/base/random_id.h"
#include "server/base/status_macros.h"
#include "server/persistence/memory_repository.h"
#include "server/persistence/store_repository.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

std::unique_ptr<Repository> MakeRepository(Store* store, SessionRegistry& registry,
                                           Budgets& budgets, const Limits& limits,
                                           const Clock& clock) {
  if (store == nullptr) {
    return std::make_unique<MemoryRepository>(registry, budgets, limits, clock);
  }
  return std::make_unique<StoreRepository>(*store, registry, budgets, limits, clock);
}

}  // namespace

Engine::Engine(const Limits& limits, const Clock& clock, Store* store, Sweeping sweeping)
    : limits_(limits),
      clock_(clock),
      budgets_(limits, store != nullptr ? Holding::kCopies : Holding::kOriginals),
      registry_(clock),
      repository_(MakeRepository(store, registry_, budgets_, limits_, clock)) {
  if (sweeping == Sweeping::kByThread) sweeper_.emplace(*repository_);
}

EngineSummary Engine::Summary() const {
  EngineSummary summary;
  summary.steps = budgets_.steps().held();
  summary.parameter_bytes = budgets_.parameters().held();
  for (const std::shared_ptr<Session>& session : registry_.All()) {
    ++summary.sessions;
    for (const auto& [id, layer] : session->version()->image->layers) {
      ++(layer->mode == Mode::kTrain ? summary.layers_in_train : summary.layers_in_eval);
    }
  }
  return summary;
}

absl::Status Engine::CheckSpec(const SessionSpec& spec) const {
  DROPOUTD_RETURN_IF_ERROR(CheckSessionId(SessionIdOf(spec.session_id)));
  if (spec.ttl.has_value() && (*spec.ttl <= Nanoseconds(0) || *spec.ttl > limits_.max_ttl)) {
    return MakeError(Reason::kInvalidSession,
                     absl::StrCat("ttl: ", absl::FormatDuration(absl::FromChrono(*spec.ttl)),
                                  ", must be above 0 and at most ",
                                  absl::FormatDuration(absl::FromChrono(limits_.max_ttl))));
  }
  return absl::OkStatus();
}

ChangeRules Engine::RulesFor(const TenantBudget& tenant) {
  return {budgets_, tenant, limits_.max_layers_per_session};
}

SessionView Engine::ViewOf(const FoundSession& found) const {
  const auto left = found.session->expire_time() - clock_.Now();
  return dropoutd::ViewOf(found.session->key(), *found.version->image,
                          clock_.WallNow() + std::chrono::duration_cast<WallTime::duration>(left));
}

absl::StatusOr<SessionView> Engine::CreateSession(SessionSpec spec) {
  DROPOUTD_RETURN_IF_ERROR(CheckSpec(spec));
  if (SessionIdOf(spec.session_id).empty()) spec.session_id += RandomId();
  const TenantBudgetRef tenant = budgets_.Open(TenantOf(spec.session_id));
  DROPOUTD_ASSIGN_OR_RETURN(SharedImage image, NewSession(spec, limits_.default_ttl,
                                                          clock_.WallNow(), RulesFor(*tenant)));
  DROPOUTD_ASSIGN_OR_RETURN(
      const FoundSession found,
      repository_->Create(
          spec.session_id, std::move(image),
          [&](const SessionImage& existing) { return IsMadeFrom(existing, spec); }, nullptr));
  return ViewOf(found);
}

absl::StatusOr<SessionView> Engine::GetSession(std::string_view session_id) {
  DROPOUTD_ASSIGN_OR_RETURN(const FoundSession found, repository_->Find(session_id));
  return ViewOf(found);
}

absl::StatusOr<SessionPage> Engine::ListSessions(std::string_view after, std::size_t count) {
  DROPOUTD_ASSIGN_OR_RETURN(SessionList list, repository_->List(after, count));
  SessionPage page;
  const bool is_full = list.sessions.size() + list.corrupt.size() >= count;
  // Whether a page follows is known when there is something on it.
  if (is_full && count != 0) {
    DROPOUTD_ASSIGN_OR_RETURN(const SessionList rest, repository_->List(list.last, 1));
    if (!rest.sessions.empty() || !rest.corrupt.empty()) page.next = list.last;
  }
  page.sessions = std::move(list.sessions);
  page.corrupt = std::move(list.corrupt);
  return page;
}

absl::Status Engine::DeleteSession(std::string_view session_id) {
  return repository_->Delete(session_id);
}

absl::StatusOr<LayerView> Engine::ChangeLayer(std::string_view session_id,
                                              std::string_view layer_id, Repository::Next change) {
  DROPOUTD_ASSIGN_OR_RETURN(const SharedImage image, repository_->Change(session_id, change));
  DROPOUTD_ASSIGN_OR_RETURN(const SharedLayer layer, FindLayer(*image, layer_id));
  return dropoutd::ViewOf(*layer);
}

absl::StatusOr<LayerView> Engine::CreateLayer(std::string_view session_id,
                                              const LayerConfig& config) {
  const TenantBudgetRef tenant = budgets_.Open(TenantOf(session_id));
  return ChangeLayer(session_id, config.layer_id, [&](const SharedImage& image) {
    return WithLayer(image, config, RulesFor(*tenant));
  });
}

absl::StatusOr<LayerView> Engine::UpdateLayer(std::string_view session_id,
                                              const LayerConfig& config) {
  const TenantBudgetRef tenant = budgets_.Open(TenantOf(session_id));
  return ChangeLayer(session_id, config.layer_id, [&](const SharedImage& image) {
    return WithUpdate(image, config, RulesFor(*tenant));
  });
}

absl::Status Engine::DeleteLayer(std::string_view session_id, std::string_view layer_id) {
  return repository_
      ->Change(session_id, [&](const SharedImage& image) { return WithoutLayer(image, layer_id); })
      .status();
}

absl::StatusOr<std::vector<std::string>> Engine::SetMode(
    std::string_view session_id, Mode mode, const std::vector<std::string>& layer_ids) {
  std::vector<std::string> set;
  DROPOUTD_RETURN_IF_ERROR(
      repository_
          ->Change(session_id,
                   [&](const SharedImage& image) { return WithMode(image, mode, layer_ids, set); })
          .status());
  return set;
}

absl::StatusOr<std::uint64_t> Engine::ReleaseSteps(std::string_view session_id,
                                                   std::string_view layer_id,
                                                   std::uint64_t through_step) {
  return repository_->ReleaseSteps(session_id, layer_id, through_step);
}

absl::Status Engine::SetParameters(std::string_view session_id, std::string_view layer_id,
                                   std::vector<Parameter> parameters) {
  const TenantBudgetRef tenant = budgets_.Open(TenantOf(session_id));
  return repository_
      ->Change(session_id,
               [&](const SharedImage& image) {
                 return WithParameters(image, layer_id, parameters, RulesFor(*tenant));
               })
      .status();
}

absl::StatusOr<SharedParameters> Engine::GetParameters(std::string_view session_id,
                                                       std::string_view layer_id) {
  DROPOUTD_ASSIGN_OR_RETURN(const FoundSession found, repository_->Find(session_id));
  DROPOUTD_ASSIGN_OR_RETURN(const SharedLayer layer, FindLayer(*found.version->image, layer_id));
  return layer->parameters != nullptr ? layer->parameters : NoParameters();
}

}  // namespace dropoutd
