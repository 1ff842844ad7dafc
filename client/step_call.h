// A Forward or Backward, and how it travels.
#ifndef DROPOUTD_CLIENT_STEP_CALL_H_
#define DROPOUTD_CLIENT_STEP_CALL_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/call_context.h"
#include "client/connection.h"
#include "client/step_wire.h"
#include "dropout/client.h"

namespace dropout {

struct StepCall {
  bool is_forward = true;
  std::string session_id;
  std::string layer_id;
  std::string fields;  // The request without its tensor, serialised.
  TensorView tensor;
  OutputPlace place;
  bool is_safe = true;  // May be sent more than once.

  // Whether the call waits for a connection where there is none, and does not fail.
  bool wait_for_ready = false;
};

// The transports. Each sends the call once, and returns when neither gRPC nor the server
// has anything more to do with the caller's memory. Thread-safe.

// In the messages of a unary call.
absl::StatusOr<StepAnswer> CallInline(Connection& connection, const StepCall& call,
                                      TimeLeft time_left);

// The unary call with this request, of which gRPC keeps nothing afterwards.
absl::StatusOr<StepAnswer> CallUnary(Channel& channel, const StepCall& call,
                                     const grpc::ByteBuffer& request, TimeLeft time_left);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_STEP_CALL_H_
