#include "server/service/error_mapping.h"

namespace dropoutd {

PublicError ToPublic(const absl::Status& status) {
  const auto reason = ReasonOf(status);
  if (!reason.has_value()) return {Reason::kInternal, "an internal error"};
  return {*reason, std::string(status.message())};
}

grpc::Status ToGrpc(const absl::Status& status, grpc::CallbackServerContext& context) {
  if (status.ok()) return grpc::Status::OK;
  const PublicError error = ToPublic(status);
  context.AddTrailingMetadata(kReasonMetadata, std::string(ReasonName(error.reason)));
  // The codes of absl and gRPC are the same numbers.
  return {static_cast<grpc::StatusCode>(CodeOf(error.reason)), error.message};
}

}  // namespace dropoutd
