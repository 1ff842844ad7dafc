// Tensors in the messages of unary calls.
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>

#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/status.h"
#include "client/step_call.h"

namespace dropout {
namespace {

constexpr char kForwardMethod[] = "/dropout.v1.DropoutService/Forward";
constexpr char kBackwardMethod[] = "/dropout.v1.DropoutService/Backward";
constexpr std::size_t kMaxMessageBytes = std::numeric_limits<int>::max();

}  // namespace

absl::StatusOr<StepAnswer> CallUnary(Channel& channel, const StepCall& call,
                                     const grpc::ByteBuffer& request, TimeLeft time_left) {
  if (request.Length() > kMaxMessageBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the request has ", request.Length(), " bytes, a message at most ", kMaxMessageBytes));
  }
  grpc::ClientContext context;
  context.set_wait_for_ready(call.wait_for_ready);
  SetDeadline(time_left, &context);
  AddSessionMetadata(call.session_id, &context);
  channel.AddCredentials(&context);
  grpc::CompletionQueue queue;
  const auto rpc = channel.raw.PrepareUnaryCall(
      &context, call.is_forward ? kForwardMethod : kBackwardMethod, request, &queue);
  rpc->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  rpc->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool good = false;
  queue.Next(&tag, &good);
  if (!status.ok()) return ToAbslStatus(status, context);
  StepAnswer answer;
  if (absl::Status read = ReadAnswer(response, call.place, &answer); !read.ok()) return read;
  return answer;
}

absl::StatusOr<StepAnswer> CallInline(Connection& connection, const StepCall& call,
                                      TimeLeft time_left) {
  MemoryLoan loan;
  std::shared_ptr<Channel> channel = connection.channel();
  absl::StatusOr<StepAnswer> answer = CallUnary(
      *channel, call,
      RequestBytes(call.fields, call.tensor, {call.tensor.data, call.tensor.byte_size}, loan),
      time_left);
  connection.Settle(loan, std::move(channel));
  return answer;
}

}  // namespace dropout
