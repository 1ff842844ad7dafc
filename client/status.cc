#include "client/status.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "dropout/client.h"

namespace dropout {
namespace {

// Key of the trailing metadata, and of the status payload.
constexpr char kReasonKey[] = "dropout-error-reason";

}  // namespace

absl::Status ToAbslStatus(const grpc::Status& status, const grpc::ClientContext& context) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  const auto& trailers = context.GetServerTrailingMetadata();
  if (const auto reason = trailers.find(kReasonKey); reason != trailers.end()) {
    result.SetPayload(kReasonKey,
                      absl::Cord(absl::string_view(reason->second.data(), reason->second.size())));
  }
  return result;
}

absl::Status ToAbslStatus(const v1::Error& error) {
  absl::Status result(static_cast<absl::StatusCode>(error.code()), error.message());
  if (!error.reason().empty()) result.SetPayload(kReasonKey, absl::Cord(error.reason()));
  return result;
}

std::string ErrorReason(const absl::Status& status) {
  const auto reason = status.GetPayload(kReasonKey);
  return reason.has_value() ? std::string(*reason) : std::string();
}

}  // namespace dropout
