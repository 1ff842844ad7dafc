// gRPC's status as Abseil's, with the server's reason.
#ifndef DROPOUTD_CLIENT_STATUS_H_
#define DROPOUTD_CLIENT_STATUS_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "dropout/v1/transport.pb.h"

namespace dropout {

// The status of a call that has ended in `context`. The reason comes from the trailing
// metadata; ErrorReason() reads it back.
absl::Status ToAbslStatus(const grpc::Status& status, const grpc::ClientContext& context);

// The error of an operation of a stream.
absl::Status ToAbslStatus(const v1::Error& error);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_STATUS_H_
