#include "server/session/engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/session/random_id.h"
#include "server/session/session_key.h"

namespace dropoutd {
Engine::Engine(const Limits& limits, const Clock& clock, Store* store)
    : limits_(limits),
      clock_(clock),
      cache_(limits.mask_cache_bytes),
      budget_(cache_, limits.max_steps_per_layer, limits.max_steps, limits.input_cache_bytes,
              limits.max_parameter_bytes),
      registry_(limits.max_sessions, clock),
      keeper_(registry_, budget_, limits_, clock, store),
      sweeper_(keeper_) {}

EngineSummary Engine::Summary() const {
  EngineSummary summary;
  summary.steps = budget_.total;
  summary.parameter_bytes = budget_.parameter_bytes;
  for (const std::shared_ptr<Session>& session : registry_.All()) {
    ++summary.sessions;
    for (const LayerView& layer : session->View().layers) {
      ++(layer.mode == Mode::kTrain ? summary.layers_in_train : summary.layers_in_eval);
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

absl::StatusOr<SessionView> Engine::CreateSession(SessionSpec spec) {
  DROPOUTD_RETURN_IF_ERROR(CheckSpec(spec));
  if (SessionIdOf(spec.session_id).empty()) spec.session_id += RandomId();
  DROPOUTD_ASSIGN_OR_RETURN(
      std::shared_ptr<Session> made,
      Session::Make(spec, limits_.default_ttl, limits_.max_layers_per_session, budget_, clock_));
  DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                            keeper_.Create(std::move(made), [&](const Session& existing) {
                              return existing.MadeFrom(spec);
                            }));
  return session->View();
}

absl::StatusOr<SessionView> Engine::GetSession(std::string_view session_id) {
  DROPOUTD_ASSIGN_OR_RETURN(const auto session, keeper_.Find(session_id));
  return session->View();
}

absl::StatusOr<SessionPage> Engine::ListSessions(std::string_view after, std::size_t count) {
  SessionPage page;
  // One more than asked for, to know whether a page follows.
  DROPOUTD_ASSIGN_OR_RETURN(page.sessions, keeper_.List(after, count + 1));
  if (page.sessions.size() > count) {
    page.sessions.resize(count);
    if (count != 0) page.next = page.sessions.back().session_id;
  }
  return page;
}

absl::Status Engine::DeleteSession(std::string_view session_id) {
  return keeper_.Delete(session_id);
}

absl::StatusOr<LayerView> Engine::CreateLayer(std::string_view session_id,
                                              const LayerConfig& config) {
  LayerView layer;
  DROPOUTD_RETURN_IF_ERROR(keeper_.Change(session_id, [&](Session& session) -> absl::Status {
    DROPOUTD_ASSIGN_OR_RETURN(layer, session.CreateLayer(config));
    return absl::OkStatus();
  }));
  return layer;
}

absl::StatusOr<LayerView> Engine::UpdateLayer(std::string_view session_id,
                                              const LayerConfig& config) {
  LayerView layer;
  DROPOUTD_RETURN_IF_ERROR(keeper_.Change(session_id, [&](Session& session) -> absl::Status {
    DROPOUTD_ASSIGN_OR_RETURN(layer, session.UpdateLayer(config));
    return absl::OkStatus();
  }));
  return layer;
}

absl::Status Engine::DeleteLayer(std::string_view session_id, std::string_view layer_id) {
  return keeper_.Change(session_id,
                        [&](Session& session) { return session.DeleteLayer(layer_id); });
}

absl::StatusOr<std::vector<std::string>> Engine::SetMode(
    std::string_view session_id, Mode mode, const std::vector<std::string>& layer_ids) {
  std::vector<std::string> set;
  DROPOUTD_RETURN_IF_ERROR(keeper_.Change(session_id, [&](Session& session) -> absl::Status {
    DROPOUTD_ASSIGN_OR_RETURN(set, session.SetMode(mode, layer_ids));
    return absl::OkStatus();
  }));
  return set;
}

absl::StatusOr<std::uint64_t> Engine::ReleaseSteps(std::string_view session_id,
                                                   std::string_view layer_id,
                                                   std::uint64_t through_step) {
  return keeper_.ReleaseSteps(session_id, layer_id, through_step);
}

absl::Status Engine::SetParameters(std::string_view session_id, std::string_view layer_id,
                                   std::vector<Parameter> parameters) {
  return keeper_.Change(session_id, [&](Session& session) {
    return session.SetParameters(layer_id, parameters);  // A copy: there may be a second time.
  });
}

absl::StatusOr<SharedParameters> Engine::GetParameters(std::string_view session_id,
                                                       std::string_view layer_id) {
  DROPOUTD_ASSIGN_OR_RETURN(const auto session, keeper_.Find(session_id));
  return session->GetParameters(layer_id);
}

}  // namespace dropoutd
