// The frame of every unary handler: gate, parse, handle, serialise, map the error.
#ifndef DROPOUTD_SERVER_SERVICE_UNARY_H_
#define DROPOUTD_SERVER_SERVICE_UNARY_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/strip.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/service/call_gate.h"
#include "server/service/error_mapping.h"
#include "server/service/wire_error.h"
#include "server/session/session_key.h"

namespace dropoutd {

// The RPC whose request's type is `Request`: they are named alike.
template <typename Request>
std::string_view MethodOf() {
  static const std::string method(absl::StripSuffix(Request::descriptor()->name(), "Request"));
  return method;
}

// Makes a session's id in `request` its key: from here on, no id means another tenant's.
template <typename Request>
void QualifySession(std::string_view tenant, Request& request) {
  if constexpr (requires { request.session_id(); }) {
    request.set_session_id(SessionKey(tenant, request.session_id()));
  }
}

// A call, from its arrival until its answer has been sent. It keeps its place in the gate so
// long, because its request and its answer are in memory so long: a client that does not
// read must not make room for further calls.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(CallGate& gate, grpc::CallbackServerContext& context, std::string_view method,
            std::size_t request_bytes)
      : gate_(gate) {
    call_.method = method;
    call_.context = &context;
    call_.request_bytes = request_bytes;
    admitted_ = gate_.Enter(call_);
  }

  const absl::Status& admitted() const { return admitted_; }
  const GatedCall& call() const { return call_; }

  // Sends the outcome; the answer, if there is one, has `response_bytes`.
  UnaryCall* End(const absl::Status& outcome, std::size_t response_bytes) {
    call_.response_bytes = response_bytes;
    gate_.Answer(call_, outcome);
    Finish(ToGrpc(outcome, *call_.context));
    return this;
  }

  void OnDone() override {
    gate_.Leave(call_);
    delete this;
  }

 private:
  // OnDone is short: it need not go through another thread.
  bool InternalInlineable() override { return true; }

  CallGate& gate_;
  GatedCall call_;
  absl::Status admitted_;
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

// Runs `handle(in, out, call) -> absl::Status`, which parses and serialises by itself, as a unary
// call's handler.
template <typename Handle>
grpc::ServerUnaryReactor* RunRaw(CallGate& gate, grpc::CallbackServerContext& context,
                                 std::string_view method, const grpc::ByteBuffer& in,
                                 grpc::ByteBuffer& out, Handle handle) {
  auto* const call = new UnaryCall(gate, context, method, in.Length());
  const absl::Status status = RunGuarded([&]() -> absl::Status {
    DROPOUTD_RETURN_IF_ERROR(call->admitted());
    return handle(in, out, call->call());
  });
  return call->End(status, status.ok() ? out.Length() : 0);
}

// Runs `handle(request, response) -> absl::Status`, or one that takes the GatedCall too, as a
// unary call's handler. The request names its session by its key.
template <typename Request, typename Response, typename Handle>
grpc::ServerUnaryReactor* RunUnary(CallGate& gate, grpc::CallbackServerContext& context,
                                   const grpc::ByteBuffer& in, grpc::ByteBuffer& out,
                                   Handle handle) {
  return RunRaw(
      gate, context, MethodOf<Request>(), in, out,
      [&](const grpc::ByteBuffer& bytes, grpc::ByteBuffer& answer,
          const GatedCall& call) -> absl::Status {
        Request request;
        DROPOUTD_RETURN_IF_ERROR(Parse(bytes, request));
        QualifySession(call.tenant, request);
        Response response;
        if constexpr (std::is_invocable_v<Handle, Request&, Response&, const GatedCall&>) {
          DROPOUTD_RETURN_IF_ERROR(handle(request, response, call));
        } else {
          DROPOUTD_RETURN_IF_ERROR(handle(request, response));
        }
        return Serialize(response, answer);
      });
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_UNARY_H_
