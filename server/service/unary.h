// The frame of every unary handler: gate, parse, handle, serialise, map the error.
#ifndef DROPOUTD_SERVER_SERVICE_UNARY_H_
#define DROPOUTD_SERVER_SERVICE_UNARY_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/service/call_gate.h"
#include "server/service/error_mapping.h"
#include "server/service/wire_error.h"

namespace dropoutd {

// Keeps a call's place in the gate.
class GatePass {
 public:
  GatePass(CallGate& gate, std::size_t byte_size)
      : gate_(gate), byte_size_(byte_size), status_(gate.Enter(byte_size)) {}
  ~GatePass() {
    if (status_.ok()) gate_.Leave(byte_size_);
  }
  GatePass(const GatePass&) = delete;
  GatePass& operator=(const GatePass&) = delete;

  const absl::Status& status() const { return status_; }

 private:
  CallGate& gate_;
  const std::size_t byte_size_;
  const absl::Status status_;
};

template <typename Message>
absl::Status Parse(const grpc::ByteBuffer& bytes, Message& message) {
  grpc::ProtoBufferReader reader(const_cast<grpc::ByteBuffer*>(&bytes));
  if (!reader.status().ok() || !message.ParseFromZeroCopyStream(&reader)) {
    return DoesNotParse();
  }
  return absl::OkStatus();
}

template <typename Message>
absl::Status Serialize(const Message& message, grpc::ByteBuffer& bytes) {
  bool own_buffer = false;
  if (!grpc::SerializationTraits<Message>::Serialize(message, &bytes, &own_buffer).ok()) {
    return MakeError(Reason::kInternal, "the answer does not fit a message");
  }
  return absl::OkStatus();
}

// Runs `work() -> absl::Status`. One call's failure must not end the process.
template <typename Work>
absl::Status RunGuarded(Work work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return MakeError(Reason::kQuotaBytesInFlight, "the server is out of memory for this call");
  } catch (const std::exception&) {
    return MakeError(Reason::kInternal, "an internal error");
  }
}

// Runs `handle(in, out) -> absl::Status`, which parses and serialises by itself, as a unary
// call's handler.
template <typename Handle>
grpc::ServerUnaryReactor* RunRaw(CallGate& gate, grpc::CallbackServerContext& context,
                                 const grpc::ByteBuffer& in, grpc::ByteBuffer& out,
                                 Handle handle) {
  const absl::Status status = RunGuarded([&]() -> absl::Status {
    const GatePass pass(gate, in.Length());
    DROPOUTD_RETURN_IF_ERROR(pass.status());
    return handle(in, out);
  });
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  reactor->Finish(ToGrpc(status, context));
  return reactor;
}

// Runs `handle(request, response) -> absl::Status` as a unary call's handler.
template <typename Request, typename Response, typename Handle>
grpc::ServerUnaryReactor* RunUnary(CallGate& gate, grpc::CallbackServerContext& context,
                                   const grpc::ByteBuffer& in, grpc::ByteBuffer& out,
                                   Handle handle) {
  return RunRaw(gate, context, in, out,
                [&](const grpc::ByteBuffer& bytes, grpc::ByteBuffer& answer) -> absl::Status {
                  Request request;
                  DROPOUTD_RETURN_IF_ERROR(Parse(bytes, request));
                  Response response;
                  DROPOUTD_RETURN_IF_ERROR(handle(request, response));
                  return Serialize(response, answer);
                });
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_UNARY_H_
