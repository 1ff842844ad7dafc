// From the server's errors to gRPC's.
#ifndef DROPOUTD_SERVER_SERVICE_ERROR_MAPPING_H_
#define DROPOUTD_SERVER_SERVICE_ERROR_MAPPING_H_

#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/status/status.h"
#include "server/base/error.h"
#include "server/service/call_gate.h"

namespace dropoutd {

// Name of the trailing metadata that carries an error's reason.
inline constexpr char kReasonMetadata[] = "dropout-error-reason";

// What a client gets to see of an error.
struct PublicError {
  Reason reason = Reason::kInternal;
  std::string message;
};

// A status without a reason is a fault of the server's: INTERNAL, with a message that says
// no more. `status` is not OK.
PublicError ToPublic(const absl::Status& status);

// The gRPC status for `status`; adds its reason to the call's trailers.
grpc::Status ToGrpc(const absl::Status& status, GatedCall& call);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_ERROR_MAPPING_H_
