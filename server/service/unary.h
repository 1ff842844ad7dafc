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
    return MakeError(Reason::kInvalidRequest,
                     "the request does not parse as a message of its type");
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

// Runs `handle(request, response) -> absl::Status` as a unary call's handler.
template <typename Request, typename Response, typename Handle>
grpc::ServerUnaryReactor* RunUnary(CallGate& gate, grpc::CallbackServerContext& context,
                                   const grpc::ByteBuffer& in, grpc::ByteBuffer& out,
                                   Handle handle) {
  auto* const call = new UnaryCall(gate, in.Length());
  const auto run = [&]() -> absl::Status {
    DROPOUTD_RETURN_IF_ERROR(call->admitted());
    Request request;
    DROPOUTD_RETURN_IF_ERROR(Parse(in, request));
    Response response;
    DROPOUTD_RETURN_IF_ERROR(handle(request, response));
    return Serialize(response, out);
  };
  absl::Status status;
  try {
    status = run();
  } catch (const std::bad_alloc&) {
    // One call's failure must not end the process.
    status = MakeError(Reason::kQuotaBytesInFlight, "the server is out of memory for this call");
  } catch (const std::exception&) {
    status = MakeError(Reason::kInternal, "an internal error");
  }
  call->Finish(ToGrpc(status, context));
  return call;
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_UNARY_H_
