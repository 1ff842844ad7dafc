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
#include "server/service/gate_pass.h"
#include "server/service/wire_error.h"

namespace dropoutd {

// A call, from its arrival until its answer has been sent. It keeps its place in the gate so
// long, because its request and its answer are in memory so long: a client that does not
// read must not make room for further calls.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(CallGate& gate, std::size_t byte_size) : pass_(gate, byte_size) {}

  const absl::Status& admitted() const { return pass_.status(); }

  void OnDone() override { delete this; }

 private:
  const GatePass pass_;
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
  auto* const call = new UnaryCall(gate, in.Length());
  const absl::Status status = RunGuarded([&]() -> absl::Status {
    DROPOUTD_RETURN_IF_ERROR(call->admitted());
    return handle(in, out);
  });
  call->Finish(ToGrpc(status, context));
  return call;
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
