#include "server/service/error_mapping.h"

#include <string>

#include "server/base/error.h"

namespace dropoutd {

grpc::Status ToGrpc(const absl::Status& status, grpc::CallbackServerContext& context) {
  if (status.ok()) return grpc::Status::OK;
  const auto reason = ReasonOf(status);
  if (!reason.has_value()) {
    return ToGrpc(MakeError(Reason::kInternal, "an internal error"), context);
  }
  context.AddTrailingMetadata(kReasonMetadata, std::string(ReasonName(*reason)));
  // The codes of absl and gRPC are the same numbers.
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

}  // namespace dropoutd
