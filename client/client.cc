#include "dropout/client.h"

#include <grpc/grpc.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/convert.h"
#include "client/idempotency.h"
#include "client/retry.h"
#include "client/session_id.h"
#include "client/status.h"
#include "dropout/v1/dropout_service.grpc.pb.h"

namespace dropout {
namespace {

using Stub = v1::DropoutService::Stub;

constexpr std::int64_t kIntMax = std::numeric_limits<int>::max();

absl::Status Validate(const std::string& address, const ClientOptions& options) {
  using std::chrono::nanoseconds;
  if (address.empty()) return absl::InvalidArgumentError("address is empty");
  if (options.timeout < nanoseconds::zero()) {
    return absl::InvalidArgumentError(
        absl::StrCat("timeout is ", options.timeout.count(), " ns, must be 0 or more"));
  }
  if (options.max_attempts < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_attempts is ", options.max_attempts, ", must be 1 or more"));
  }
  if (options.initial_backoff < nanoseconds::zero() || options.max_backoff < nanoseconds::zero()) {
    return absl::InvalidArgumentError("initial_backoff and max_backoff must be 0 or more");
  }
  if (options.max_receive_bytes < -1 || options.max_receive_bytes > kIntMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_receive_bytes is ", options.max_receive_bytes, ", must be in [-1, ", kIntMax, "]"));
  }
  return absl::OkStatus();
}

// Keeps gRPC up for the rest of the process. When the last channel goes, gRPC 1.51 stops
// its threads, and after a large write one of them may sit in a poll for 10 s.
void KeepGrpcUp() { [[maybe_unused]] static const bool up = (grpc_init(), true); }

grpc::ChannelArguments ChannelArgumentsOf(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_receive_bytes));
  arguments.SetMaxSendMessageSize(-1);
  // A server that was restarted is found again within the time that retries take.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // Despite its name, the time that gRPC gives one attempt to connect.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  return arguments;
}

template <typename Request>
void AddSessionMetadata(const Request& request, grpc::ClientContext* context) {
  if constexpr (requires { request.session_id(); }) {
    // Only what the server would take: gRPC aborts on bytes that a header cannot have.
    if (IsValidSessionId(request.session_id())) {
      context->AddMetadata("x-session-id", request.session_id());
    }
  }
}

void SetDeadline(std::optional<std::chrono::nanoseconds> time_left, grpc::ClientContext* context) {
  if (!time_left.has_value()) return;
  context->set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                     gpr_time_from_nanos(time_left->count(), GPR_TIMESPAN)));
}

// An answer as the client's value.
template <typename Message>
auto Converted(absl::StatusOr<Message> response)
    -> absl::StatusOr<decltype(FromProto(std::declval<Message>()))> {
  if (!response.ok()) return response.status();
  return FromProto(*std::move(response));
}

}  // namespace

class Client::Impl {
 public:
  Impl(const std::string& address, const ClientOptions& options)
      : options_(options),
        stub_(v1::DropoutService::NewStub(grpc::CreateCustomChannel(
            address, grpc::InsecureChannelCredentials(), ChannelArgumentsOf(options)))) {}

  // Sends `request`, again where that is safe, and returns the answer.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Rpc rpc,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    if (request.ByteSizeLong() > static_cast<std::size_t>(kIntMax)) {
      return absl::ResourceExhaustedError(absl::StrCat("the request has ", request.ByteSizeLong(),
                                                       " bytes, a message at most ", kIntMax));
    }
    Response response;
    const absl::Status status = RunWithRetries(
        options_, IdempotencyOf(rpc), SystemRetryEnvironment(),
        [&](std::optional<std::chrono::nanoseconds> time_left) {
          grpc::ClientContext context;
          SetDeadline(time_left, &context);
          AddSessionMetadata(request, &context);
          return ToAbslStatus((stub_.get()->*method)(&context, request, &response), context);
        });
    if (!status.ok()) return status;
    return response;
  }

 private:
  ClientOptions options_;
  std::unique_ptr<Stub> stub_;
};

absl::StatusOr<Client> Client::Connect(const std::string& address, ClientOptions options) {
  if (absl::Status status = Validate(address, options); !status.ok()) return status;
  KeepGrpcUp();
  return Client(std::make_unique<Impl>(address, options));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

absl::StatusOr<Session> Client::CreateSession(const SessionOptions& options) {
  v1::CreateSessionRequest request;
  ToProto(options, &request);
  // Without an id a repetition would make a second session.
  if (options.session_id.empty()) request.set_session_id(NewSessionId());
  return Converted(impl_->Call(Rpc::kCreateSession, &Stub::CreateSession, request));
}

absl::StatusOr<Session> Client::GetSession(const std::string& session_id) {
  v1::GetSessionRequest request;
  request.set_session_id(session_id);
  return Converted(impl_->Call(Rpc::kGetSession, &Stub::GetSession, request));
}

absl::StatusOr<SessionPage> Client::ListSessions(int page_size, const std::string& page_token) {
  v1::ListSessionsRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Converted(impl_->Call(Rpc::kListSessions, &Stub::ListSessions, request));
}

absl::Status Client::DeleteSession(const std::string& session_id) {
  v1::DeleteSessionRequest request;
  request.set_session_id(session_id);
  return impl_->Call(Rpc::kDeleteSession, &Stub::DeleteSession, request).status();
}

absl::StatusOr<Layer> Client::CreateLayer(const std::string& session_id, const Layer& layer) {
  v1::CreateLayerRequest request;
  request.set_session_id(session_id);
  ToProto(layer, request.mutable_layer());
  return Converted(impl_->Call(Rpc::kCreateLayer, &Stub::CreateLayer, request));
}

absl::StatusOr<Layer> Client::UpdateLayer(const std::string& session_id, const Layer& layer) {
  v1::UpdateLayerRequest request;
  request.set_session_id(session_id);
  ToProto(layer, request.mutable_layer());
  return Converted(impl_->Call(Rpc::kUpdateLayer, &Stub::UpdateLayer, request));
}

absl::Status Client::DeleteLayer(const std::string& session_id, const std::string& layer_id) {
  v1::DeleteLayerRequest request;
  request.set_session_id(session_id);
  request.set_layer_id(layer_id);
  return impl_->Call(Rpc::kDeleteLayer, &Stub::DeleteLayer, request).status();
}

absl::StatusOr<std::vector<std::string>> Client::SetMode(
    const std::string& session_id, Mode mode, const std::vector<std::string>& layer_ids) {
  v1::SetModeRequest request;
  request.set_session_id(session_id);
  request.set_mode(static_cast<v1::Mode>(mode));
  request.mutable_layer_ids()->Assign(layer_ids.begin(), layer_ids.end());
  auto response = impl_->Call(Rpc::kSetMode, &Stub::SetMode, request);
  if (!response.ok()) return response.status();
  return FromProto(std::move(*response->mutable_layer_ids()));
}

absl::StatusOr<ForwardResult> Client::Forward(const StepRef& step, const TensorView& input,
                                              bool return_mask) {
  v1::ForwardRequest request;
  ToProto(step, &request);
  ToProto(input, request.mutable_input());
  request.set_return_mask(return_mask);
  return Converted(impl_->Call(Rpc::kForward, &Stub::Forward, request));
}

absl::StatusOr<BackwardResult> Client::Backward(const StepRef& step,
                                                const TensorView& output_gradient,
                                                const BackwardOptions& options) {
  v1::BackwardRequest request;
  ToProto(step, &request);
  ToProto(output_gradient, request.mutable_output_gradient());
  request.set_release(options.release);
  if (options.weight_squared_norm) request.set_weight_squared_norm(*options.weight_squared_norm);
  const Rpc rpc = options.release ? Rpc::kBackwardRelease : Rpc::kBackward;
  return Converted(impl_->Call(rpc, &Stub::Backward, request));
}

absl::StatusOr<Mask> Client::GetMask(const StepRef& step, const std::vector<std::int64_t>& shape) {
  v1::GetMaskRequest request;
  ToProto(step, &request);
  request.mutable_shape()->Assign(shape.begin(), shape.end());
  return Converted(impl_->Call(Rpc::kGetMask, &Stub::GetMask, request));
}

absl::StatusOr<std::uint64_t> Client::ReleaseSteps(const std::string& session_id,
                                                   const std::string& layer_id,
                                                   std::uint64_t through_step) {
  v1::ReleaseStepsRequest request;
  request.set_session_id(session_id);
  request.set_layer_id(layer_id);
  request.set_through_step(through_step);
  auto response = impl_->Call(Rpc::kReleaseSteps, &Stub::ReleaseSteps, request);
  if (!response.ok()) return response.status();
  return response->released_count();
}

absl::Status Client::SetParameters(const std::string& session_id, const std::string& layer_id,
                                   const std::vector<Parameter>& parameters) {
  v1::SetParametersRequest request;
  request.set_session_id(session_id);
  request.set_layer_id(layer_id);
  for (const Parameter& parameter : parameters) ToProto(parameter, request.add_parameters());
  return impl_->Call(Rpc::kSetParameters, &Stub::SetParameters, request).status();
}

absl::StatusOr<std::vector<Parameter>> Client::GetParameters(const std::string& session_id,
                                                             const std::string& layer_id) {
  v1::GetParametersRequest request;
  request.set_session_id(session_id);
  request.set_layer_id(layer_id);
  auto response = impl_->Call(Rpc::kGetParameters, &Stub::GetParameters, request);
  if (!response.ok()) return response.status();
  return FromProto<Parameter>(std::move(*response->mutable_parameters()));
}

absl::StatusOr<SharedMemory> Client::CreateSharedMemory(const std::string& session_id,
                                                        std::int64_t byte_size) {
  v1::CreateSharedMemoryRequest request;
  request.set_session_id(session_id);
  request.set_byte_size(byte_size);
  return Converted(impl_->Call(Rpc::kCreateSharedMemory, &Stub::CreateSharedMemory, request));
}

absl::Status Client::DeleteSharedMemory(const std::string& session_id,
                                        const std::string& region_id) {
  v1::DeleteSharedMemoryRequest request;
  request.set_session_id(session_id);
  request.set_region_id(region_id);
  return impl_->Call(Rpc::kDeleteSharedMemory, &Stub::DeleteSharedMemory, request).status();
}

absl::StatusOr<ServerInfo> Client::GetServerInfo() {
  return Converted(
      impl_->Call(Rpc::kGetServerInfo, &Stub::GetServerInfo, v1::GetServerInfoRequest()));
}

}  // namespace dropout
