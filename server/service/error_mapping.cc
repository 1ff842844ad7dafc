#include "server/service/error_mapping.h"

#include "server/service/inflate.h"

namespace dropoutd {

PublicError ToPublic(const absl::Status& status) {
  const auto reason = ReasonOf(status);
  if (!reason.has_value()) return {Reason::kInternal, "an internal error"};
  return {*reason, std::string(status.message())};
}

grpc::Status ToGrpc(const absl::Status& status, GatedCall& call) {
  if (status.ok()) return grpc::Status::OK;
  const PublicError error = ToPublic(status);
  call.trailers.emplace_back(kReasonMetadata, ReasonName(error.reason));
  if (error.reason == Reason::kCompressionUnsupported) {
    call.trailers.emplace_back("grpc-accept-encoding", kAcceptedEncodings);
  }
  // The codes of absl and gRPC are the same numbers.
  return {static_cast<grpc::StatusCode>(CodeOf(error.reason)), error.message};
}

}  // namespace dropoutd
