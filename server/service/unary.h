// The frame of every unary handler: parse, handle, serialise.
#ifndef DROPOUTD_SERVER_SERVICE_UNARY_H_
#define DROPOUTD_SERVER_SERVICE_UNARY_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <exception>
#include <new>
#include <string_view>

#include "absl/status/status.h"
#include "server/base/error.h"
#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/service/call_gate.h"
#include "server/service/field_count.h"
#include "server/service/wire_error.h"
#include "server/session/session_key.h"

namespace dropoutd {

// Makes a session's id in `request` its key: from here on, no id means another tenant's.
template <typename Request>
void QualifySession(std::string_view tenant, Request& request) {
  if constexpr (requires { request.session_id(); }) {
    request.set_session_id(SessionKey(tenant, request.session_id()));
  }
}

// A request's bytes are there twice more while it is worked on: parsed, and as what it means.
inline constexpr std::size_t kParsedSize = 2;

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
  const RunningWork running;
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return MakeError(Reason::kQuotaBytesInFlight, "the server is out of memory for this call");
  } catch (const std::exception&) {
    return MakeError(Reason::kInternal, "an internal error");
  }
}

// Runs `handle(request, response) -> absl::Status` as a unary call's handler. The request names
// its session by its key.
template <typename Request, typename Response, typename Handle>
absl::Status RunUnary(const GatedCall& call, const grpc::ByteBuffer& in, grpc::ByteBuffer& out,
                      Handle handle) {
  Request request;
  DROPOUTD_RETURN_IF_ERROR(call.reserve(kParsedSize * in.Length()));
  DROPOUTD_RETURN_IF_ERROR(CheckFieldCount(in, *Request::descriptor()));
  DROPOUTD_RETURN_IF_ERROR(Parse(in, request));
  QualifySession(call.tenant, request);
  Response response;
  DROPOUTD_RETURN_IF_ERROR(handle(request, response));
  DROPOUTD_RETURN_IF_ERROR(call.reserve(response.ByteSizeLong()));
  return Serialize(response, out);
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_UNARY_H_
