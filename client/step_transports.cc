#include "client/step_transports.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/shared_call.h"

namespace dropout {
namespace {

// From here on two copies in memory cost less than two through a socket.
constexpr std::size_t kSharedFrom = std::size_t{64} << 10;

// From here on a message is a burden to both sides, and may be past the server's limit.
constexpr std::size_t kStreamFrom = std::size_t{32} << 20;

// Whether the failure is one of getting at shared memory, with nothing sent to a layer yet.
// `for_good`: it will be the same the next time.
bool IsWithoutSharedMemory(const absl::Status& status, bool* for_good) {
  const std::string reason = ErrorReason(status);
  *for_good =
      reason == "RPC_UNSUPPORTED" ||
      (reason.empty() && (absl::IsFailedPrecondition(status) || absl::IsUnimplemented(status)));
  return reason == "QUOTA_SHARED_MEMORY" || *for_good;
}

}  // namespace

bool IsLocalAddress(const std::string& address) {
  absl::string_view host = absl::StripPrefix(absl::StripPrefix(address, "dns:"), "///");
  if (absl::StartsWith(host, "unix:") || absl::StartsWith(host, "unix-abstract:")) return true;
  host = absl::StripPrefix(absl::StripPrefix(host, "ipv4:"), "ipv6:");
  return absl::StartsWith(host, "127.") || absl::StartsWith(host, "localhost:") ||
         absl::StartsWith(host, "[::1]:");
}

StepTransports::StepTransports(const std::string& address, const ClientOptions& options,
                               Connection& connection, SharedRegions::Create create,
                               SharedRegions::Delete remove)
    : transport_(options.transport),
      connection_(connection),
      streams_(connection, options.stream_piece_bytes),
      regions_(std::move(create), std::move(remove)),
      try_shared_(IsLocalAddress(address)) {}

absl::StatusOr<StepAnswer> StepTransports::Call(const StepCall& call, TimeLeft time_left) {
  switch (transport_) {
    case Transport::kInline:
      return CallInline(connection_, call, time_left);
    case Transport::kStream:
      return streams_.Call(call, time_left);
    case Transport::kSharedMemory:
      return CallShared(connection_, regions_, call, time_left);
    case Transport::kAuto:
      break;
  }
  return CallAuto(call, time_left);
}

absl::StatusOr<StepAnswer> StepTransports::CallAuto(const StepCall& call, TimeLeft time_left) {
  const std::size_t size = call.tensor.byte_size;
  if (size >= kSharedFrom && try_shared_) {
    absl::StatusOr<StepAnswer> answer = CallShared(connection_, regions_, call, time_left);
    bool for_good = false;
    if (answer.ok() || !IsWithoutSharedMemory(answer.status(), &for_good)) return answer;
    if (for_good) try_shared_ = false;
  }
  return size >= kStreamFrom ? streams_.Call(call, time_left)
                             : CallInline(connection_, call, time_left);
}

}  // namespace dropout
