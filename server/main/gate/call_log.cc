#include "server/main/gate/call_log.h"

#include <string>

#include "absl/strings/match.h"
#include "server/base/error.h"
#include "server/main/log/log.h"

namespace dropoutd {
namespace {

bool MovesTensors(std::string_view method) {
  const absl::string_view name(method.data(), method.size());
  return name == "Forward" || name == "Backward" || name == "GetMask" || name == "ReleaseSteps" ||
         absl::StartsWith(name, "Exchange.");
}

LogLevel LevelOf(const GatedCall& call, const absl::Status& outcome) {
  switch (outcome.code()) {
    case absl::StatusCode::kOk:
      return MovesTensors(call.method) ? LogLevel::debug : LogLevel::info;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return LogLevel::err;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnavailable:
      return LogLevel::warn;
    default:
      return LogLevel::info;
  }
}

}  // namespace

void CallLog::Write(const GatedCall& call, const absl::Status& outcome, double seconds) {
  const LogLevel level = LevelOf(call, outcome);
  if (!IsLogged(level)) return;
  std::int64_t left_out = 0;
  if (level != LogLevel::debug) {
    if (!rate_.Allow(std::chrono::steady_clock::now())) {
      ++left_out_;
      return;
    }
    left_out = left_out_.exchange(0);
  }
  LogEvent event(level, "call");
  event.With("method", call.method).With("code", absl::StatusCodeToString(outcome.code()));
  event.With("request_id", call.request_id);
  if (!call.trace_id.empty()) event.With("trace_id", call.trace_id);
  if (!call.tenant.empty()) event.With("tenant", call.tenant);
  event.With("seconds", seconds)
      .With("request_bytes", call.request_bytes)
      .With("response_bytes", call.response_bytes);
  if (!outcome.ok()) {
    const auto reason = ReasonOf(outcome);
    if (reason.has_value()) event.With("reason", ReasonName(*reason));
    event.With("error", std::string(outcome.message()));
    if (call.context != nullptr) event.With("peer", call.context->peer());
  }
  if (left_out > 0) event.With("left_out", left_out);
}

}  // namespace dropoutd
