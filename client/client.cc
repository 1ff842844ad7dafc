#include "dropout/client.h"

#include <grpc/grpc.h>
#include <grpcpp/client_context.h>

#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/answer_places.h"
#include "client/call_context.h"
#include "client/connection.h"
#include "client/convert.h"
#include "client/idempotency.h"
#include "client/retry.h"
#include "client/security.h"
#include "client/session_id.h"
#include "client/shared_regions.h"
#include "client/status.h"
#include "client/step_transports.h"
#include "dropout/v1/dropout_service.grpc.pb.h"

namespace dropout {
namespace {

using Stub = v1::DropoutService::Stub;

constexpr std::size_t kMinPieceBytes = 1024;
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
  if (options.stream_piece_bytes < kMinPieceBytes) {
    return absl::InvalidArgumentError(absl::StrCat("stream_piece_bytes is ",
                                                   options.stream_piece_bytes, ", must be ",
                                                   kMinPieceBytes, " or more"));
  }
  return CheckSecurity(address, options);
}

absl::Status Unreadable() { return absl::InternalError("the answer does not parse"); }

// Keeps gRPC up for the rest of the process. When the last channel goes, gRPC 1.51 stops
// its threads, and after a large write one of them may sit in a poll for 10 s.
void KeepGrpcUp() { [[maybe_unused]] static const bool up = (grpc_init(), true); }

// An answer as the client's value.
template <typename Message>
auto Converted(absl::StatusOr<Message> response)
    -> absl::StatusOr<decltype(FromProto(std::declval<Message>()))> {
  if (!response.ok()) return response.status();
  return FromProto(*std::move(response));
}

}  // namespace

class SharedBuffer::Impl {
 public:
  explicit Impl(std::shared_ptr<MappedRegion> made) : region(std::move(made)) {}
  const std::shared_ptr<MappedRegion> region;
};

SharedBuffer::SharedBuffer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SharedBuffer::SharedBuffer(SharedBuffer&&) noexcept = default;
SharedBuffer& SharedBuffer::operator=(SharedBuffer&&) noexcept = default;
SharedBuffer::~SharedBuffer() = default;
void* SharedBuffer::data() const { return impl_->region->data(); }
std::size_t SharedBuffer::size() const { return impl_->region->size(); }
const std::string& SharedBuffer::region_id() const { return impl_->region->region_id(); }

class Client::Impl {
 public:
  Impl(const std::string& address, const ClientOptions& options)
      : options_(options),
        connection_(address, options),
        steps_(
            address, options, connection_,
            [this](const std::string& session_id, std::int64_t byte_size) {
              return CreateSharedMemory(session_id, byte_size);
            },
            [this](const MappedRegion& region) {
              DeleteSharedMemory(region.session_id(), region.region_id()).IgnoreError();
            }),
        places_([this](const std::string& session_id) {
          v1::GetSessionRequest request;
          request.set_session_id(session_id);
          return Call(Rpc::kGetSession, &Stub::GetSession, request);
        }) {}

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
        [&](TimeLeft time_left, bool wait_for_ready) {
          grpc::ClientContext context;
          context.set_wait_for_ready(wait_for_ready);
          SetDeadline(time_left, &context);
          if constexpr (requires { request.session_id(); }) {
            AddSessionMetadata(request.session_id(), &context);
          }
          const std::shared_ptr<Channel> channel = connection_.channel();
          channel->AddCredentials(&context);
          return ToAbslStatus((channel->stub.*method)(&context, request, &response), context);
        });
    if (!status.ok()) return status;
    return response;
  }

  // The same for a Forward or Backward, by the transport of the options. A place that does not fit
  // is refused before the call is sent, which may forget the step.
  absl::StatusOr<StepAnswer> Step(Rpc rpc, StepCall call) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    if (absl::Status fits = places_.Check(call); !fits.ok()) return fits;
    const Clock::duration spent = Clock::now() - start;
    call.is_safe = IdempotencyOf(rpc) != Idempotency::kUnsafe;
    absl::StatusOr<StepAnswer> answer;
    const absl::Status status =
        RunWithRetries(options_, IdempotencyOf(rpc), SystemRetryEnvironment(),
                       [&](TimeLeft time_left, bool wait_for_ready) {
                         if (time_left.has_value()) *time_left -= spent;
                         call.wait_for_ready = wait_for_ready;
                         answer = steps_.Call(call, time_left);
                         return answer.status();
                       });
    if (!status.ok()) return status;
    // The layer may be another by now.
    if (call.place.data == nullptr) return answer;
    if (absl::Status fits = CheckPlace(call.place, answer->received_bytes); !fits.ok()) return fits;
    return answer;
  }

  absl::StatusOr<SharedMemory> CreateSharedMemory(const std::string& session_id,
                                                  std::int64_t byte_size) {
    v1::CreateSharedMemoryRequest request;
    request.set_session_id(session_id);
    request.set_byte_size(byte_size);
    return Converted(Call(Rpc::kCreateSharedMemory, &Stub::CreateSharedMemory, request));
  }

  absl::Status DeleteSharedMemory(const std::string& session_id, const std::string& region_id) {
    v1::DeleteSharedMemoryRequest request;
    request.set_session_id(session_id);
    request.set_region_id(region_id);
    return Call(Rpc::kDeleteSharedMemory, &Stub::DeleteSharedMemory, request).status();
  }

  StepTransports& steps() { return steps_; }

 private:
  const ClientOptions options_;
  Connection connection_;
  StepTransports steps_;
  AnswerPlaces places_;
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
  for (std::size_t i = 0; i < options.layers.size(); ++i) {
    const absl::StatusOr<double> p = PToSend(options.layers[i], absl::StrCat("layers[", i, "].p"));
    if (!p.ok()) return p.status();
    request.mutable_layers(static_cast<int>(i))->set_p(*p);
  }
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
  impl_->steps().regions().Forget(session_id);
  return impl_->Call(Rpc::kDeleteSession, &Stub::DeleteSession, request).status();
}

absl::StatusOr<std::string> Client::ExportSession(const std::string& session_id) {
  v1::ExportSessionRequest request;
  request.set_session_id(session_id);
  auto response = impl_->Call(Rpc::kExportSession, &Stub::ExportSession, request);
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_snapshot());
}

absl::StatusOr<Session> Client::ImportSession(const std::string& snapshot,
                                              const std::string& session_id) {
  v1::ImportSessionRequest request;
  request.set_session_id(session_id.empty() ? NewSessionId() : session_id);
  request.set_snapshot(snapshot);
  return Converted(impl_->Call(Rpc::kImportSession, &Stub::ImportSession, request));
}

absl::StatusOr<Session> Client::ForkSession(const std::string& session_id,
                                            const std::string& new_session_id) {
  v1::ForkSessionRequest request;
  request.set_session_id(session_id);
  request.set_new_session_id(new_session_id.empty() ? NewSessionId() : new_session_id);
  return Converted(impl_->Call(Rpc::kForkSession, &Stub::ForkSession, request));
}

absl::StatusOr<Layer> Client::CreateLayer(const std::string& session_id, const Layer& layer) {
  const absl::StatusOr<double> p = PToSend(layer, "layer.p");
  if (!p.ok()) return p.status();
  v1::CreateLayerRequest request;
  request.set_session_id(session_id);
  ToProto(layer, request.mutable_layer());
  request.mutable_layer()->set_p(*p);
  return Converted(impl_->Call(Rpc::kCreateLayer, &Stub::CreateLayer, request));
}

absl::StatusOr<Layer> Client::UpdateLayer(const std::string& session_id, const Layer& layer) {
  const absl::StatusOr<double> p = PToSend(layer, "layer.p");
  if (!p.ok()) return p.status();
  v1::UpdateLayerRequest request;
  request.set_session_id(session_id);
  ToProto(layer, request.mutable_layer());
  request.mutable_layer()->set_p(*p);
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
  return ForwardInto(step, input, nullptr, 0, return_mask);
}

absl::StatusOr<ForwardResult> Client::ForwardInto(const StepRef& step, const TensorView& input,
                                                  void* output, std::size_t byte_size,
                                                  bool return_mask) {
  v1::ForwardRequest request;
  ToProto(step, &request);
  request.set_return_mask(return_mask);
  absl::StatusOr<StepAnswer> answer = impl_->Step(Rpc::kForward, {true,
                                                                  step.session_id,
                                                                  step.layer_id,
                                                                  request.SerializeAsString(),
                                                                  input,
                                                                  {output, byte_size}});
  if (!answer.ok()) return answer.status();
  v1::ForwardResponse response;
  if (!response.ParseFromString(answer->rest)) return Unreadable();
  ForwardResult result = FromProto(std::move(response));
  result.output = std::move(answer->tensor);
  return result;
}

absl::StatusOr<BackwardResult> Client::Backward(const StepRef& step,
                                                const TensorView& output_gradient,
                                                const BackwardOptions& options) {
  return BackwardInto(step, output_gradient, nullptr, 0, options);
}

absl::StatusOr<BackwardResult> Client::BackwardInto(const StepRef& step,
                                                    const TensorView& output_gradient,
                                                    void* input_gradient, std::size_t byte_size,
                                                    const BackwardOptions& options) {
  v1::BackwardRequest request;
  ToProto(step, &request);
  request.set_release(options.release);
  if (options.weight_squared_norm) request.set_weight_squared_norm(*options.weight_squared_norm);
  absl::StatusOr<StepAnswer> answer = impl_->Step(
      options.release ? Rpc::kBackwardRelease : Rpc::kBackward, {false,
                                                                 step.session_id,
                                                                 step.layer_id,
                                                                 request.SerializeAsString(),
                                                                 output_gradient,
                                                                 {input_gradient, byte_size}});
  if (!answer.ok()) return answer.status();
  v1::BackwardResponse response;
  if (!response.ParseFromString(answer->rest)) return Unreadable();
  BackwardResult result = FromProto(std::move(response));
  result.input_gradient = std::move(answer->tensor);
  return result;
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
  return impl_->CreateSharedMemory(session_id, byte_size);
}

absl::Status Client::DeleteSharedMemory(const std::string& session_id,
                                        const std::string& region_id) {
  return impl_->DeleteSharedMemory(session_id, region_id);
}

absl::StatusOr<SharedBuffer> Client::CreateSharedBuffer(const std::string& session_id,
                                                        std::size_t byte_size) {
  absl::StatusOr<std::shared_ptr<MappedRegion>> region =
      impl_->steps().regions().MakeForUser(session_id, byte_size);
  if (!region.ok()) return region.status();
  return SharedBuffer(std::make_unique<SharedBuffer::Impl>(*std::move(region)));
}

absl::StatusOr<ServerInfo> Client::GetServerInfo() {
  return Converted(
      impl_->Call(Rpc::kGetServerInfo, &Stub::GetServerInfo, v1::GetServerInfoRequest()));
}

}  // namespace dropout
