#include "server/service/dropout_service.h"

#include <google/protobuf/empty.pb.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/dropout/schedule.h"
#include "server/dropout/variant.h"
#include "server/service/convert.h"
#include "server/service/message_size.h"
#include "server/service/unary.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;
using google::protobuf::Empty;

constexpr std::array kSharedMemoryRpcs = {"CreateSharedMemory", "DeleteSharedMemory"};

// Of RPCs that carry tensors; --max_message_bytes bounds them.
constexpr std::size_t kTensorRequest = std::numeric_limits<std::size_t>::max();

// Page tokens are a prefix and the last id of the page before, so that a token from
// anywhere else is noticed.
constexpr absl::string_view kPagePrefix = "after:";
constexpr int kDefaultPageSize = 50;
constexpr int kMaxPageSize = 1000;

absl::StatusOr<std::string> ParsePageToken(const std::string& token) {
  if (token.empty()) return token;
  if (!absl::StartsWith(token, kPagePrefix) || token.size() == kPagePrefix.size()) {
    return MakeError(Reason::kInvalidRequest,
                     "page_token: must be the next_page_token of an answer before");
  }
  return token.substr(kPagePrefix.size());
}

// Puts a view or an error into the answer.
template <typename View, typename Message>
absl::Status Fill(const absl::StatusOr<View>& view, Message& message) {
  DROPOUTD_RETURN_IF_ERROR(view.status());
  message = ToProto(*view);
  return absl::OkStatus();
}

}  // namespace

const DropoutService::Rpc DropoutService::kUnaryRpcs[] = {
    {"/dropout.v1.DropoutService/CreateSession", &DropoutService::CreateSession, kSessionRequest},
    {"/dropout.v1.DropoutService/GetSession", &DropoutService::GetSession, kSmallRequest},
    {"/dropout.v1.DropoutService/ListSessions", &DropoutService::ListSessions, kSmallRequest},
    {"/dropout.v1.DropoutService/DeleteSession", &DropoutService::DeleteSession, kSmallRequest},
    {"/dropout.v1.DropoutService/ExportSession", &DropoutService::ExportSession, kSmallRequest},
    {"/dropout.v1.DropoutService/ImportSession", &DropoutService::ImportSession, kTensorRequest},
    {"/dropout.v1.DropoutService/ForkSession", &DropoutService::ForkSession, kSmallRequest},
    {"/dropout.v1.DropoutService/CreateLayer", &DropoutService::CreateLayer, kSmallRequest},
    {"/dropout.v1.DropoutService/UpdateLayer", &DropoutService::UpdateLayer, kSmallRequest},
    {"/dropout.v1.DropoutService/DeleteLayer", &DropoutService::DeleteLayer, kSmallRequest},
    {"/dropout.v1.DropoutService/SetMode", &DropoutService::SetMode, kSmallRequest},
    {"/dropout.v1.DropoutService/Forward", &DropoutService::Forward, kTensorRequest},
    {"/dropout.v1.DropoutService/Backward", &DropoutService::Backward, kTensorRequest},
    {"/dropout.v1.DropoutService/GetMask", &DropoutService::GetMask, kSmallRequest},
    {"/dropout.v1.DropoutService/ReleaseSteps", &DropoutService::ReleaseSteps, kSmallRequest},
    {"/dropout.v1.DropoutService/SetParameters", &DropoutService::SetParameters, kTensorRequest},
    {"/dropout.v1.DropoutService/GetParameters", &DropoutService::GetParameters, kSmallRequest},
    {"/dropout.v1.DropoutService/CreateSharedMemory", &DropoutService::CreateSharedMemory,
     kSmallRequest},
    {"/dropout.v1.DropoutService/DeleteSharedMemory", &DropoutService::DeleteSharedMemory,
     kSmallRequest},
    {"/dropout.v1.DropoutService/GetServerInfo", &DropoutService::GetServerInfo, kSmallRequest},
};

DropoutService::DropoutService(Engine& engine, CallGate& gate, ServerFacts facts)
    : engine_(engine),
      gate_(gate),
      facts_(std::move(facts)),
      pool_(kAnswerPoolBytes),
      workers_(std::max(1u, std::thread::hardware_concurrency()) - 1),
      calls_(gate),
      streams_(MaxRequestBytes(facts_.max_message_bytes)) {
  const auto most = static_cast<std::size_t>(MaxRequestBytes(facts_.max_message_bytes));
  for (const Rpc& rpc : kUnaryRpcs) {
    const std::string_view path = rpc.path;
    const auto answer = [this, handler = rpc.handler](const GatedCall& call, const Bytes& in,
                                                      Bytes& out) {
      return (this->*handler)(call, in, out);
    };
    AddRpc(rpc.path, calls_.HandlerOf(path.substr(path.rfind('/') + 1),
                                      std::min(rpc.max_request_bytes, most), answer));
  }
  AddRpc("/dropout.v1.DropoutService/Exchange",
         std::make_unique<grpc::internal::CallbackBidiHandler<Bytes, Bytes>>(
             [this](grpc::CallbackServerContext* context) {
               return streams_.Start(*context, Resources(), gate_);
             }));
}

void DropoutService::RefuseArriving() {
  calls_.RefuseArriving();
  streams_.RefuseArriving();
}

void DropoutService::AddRpc(const char* path,
                            std::unique_ptr<grpc::internal::MethodHandler> handler) {
  using grpc::internal::RpcMethod;
  AddMethod(new grpc::internal::RpcServiceMethod(path, RpcMethod::BIDI_STREAMING, nullptr));
  MarkMethodRawCallback(rpc_count_++, handler.release());
}

absl::Status DropoutService::CreateSession(const GatedCall& call, const Bytes& request,
                                           Bytes& response) {
  return RunUnary<v1::CreateSessionRequest, v1::Session>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(SessionSpec spec, FromProto(in));
        return Fill(engine_.CreateSession(std::move(spec)), out);
      });
}

absl::Status DropoutService::GetSession(const GatedCall& call, const Bytes& request,
                                        Bytes& response) {
  return RunUnary<v1::GetSessionRequest, v1::Session>(
      call, request, response,
      [&](const auto& in, auto& out) { return Fill(engine_.GetSession(in.session_id()), out); });
}

absl::Status DropoutService::ListSessions(const GatedCall& call, const Bytes& request,
                                          Bytes& response) {
  return RunUnary<v1::ListSessionsRequest, v1::ListSessionsResponse>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        if (in.page_size() < 0) {
          return MakeError(Reason::kInvalidRequest,
                           absl::StrCat("page_size: ", in.page_size(), ", must be 0 or more"));
        }
        DROPOUTD_ASSIGN_OR_RETURN(const std::string after, ParsePageToken(in.page_token()));
        const int size =
            in.page_size() == 0 ? kDefaultPageSize : std::min(in.page_size(), kMaxPageSize);
        DROPOUTD_ASSIGN_OR_RETURN(
            const SessionPage page,
            engine_.ListSessions(SessionKey(call.tenant, after), static_cast<std::size_t>(size)));
        for (const SessionView& session : page.sessions) *out.add_sessions() = ToProto(session);
        for (const std::string& key : page.corrupt) {
          out.add_corrupt_session_ids(std::string(SessionIdOf(key)));
        }
        if (!page.next.empty()) {
          const std::string_view id = SessionIdOf(page.next);
          out.set_next_page_token(
              absl::StrCat(kPagePrefix, absl::string_view(id.data(), id.size())));
        }
        return absl::OkStatus();
      });
}

absl::Status DropoutService::DeleteSession(const GatedCall& call, const Bytes& request,
                                           Bytes& response) {
  return RunUnary<v1::DeleteSessionRequest, Empty>(
      call, request, response,
      [&](const auto& in, auto&) { return engine_.DeleteSession(in.session_id()); });
}

absl::Status DropoutService::ExportSession(const GatedCall& call, const Bytes& request,
                                           Bytes& response) {
  return RunUnary<v1::ExportSessionRequest, v1::ExportSessionResponse>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(*out.mutable_snapshot(), engine_.ExportSession(in.session_id()));
        return absl::OkStatus();
      });
}

absl::Status DropoutService::ImportSession(const GatedCall& call, const Bytes& request,
                                           Bytes& response) {
  return RunUnary<v1::ImportSessionRequest, v1::Session>(
      call, request, response, [&](const auto& in, auto& out) {
        return Fill(engine_.ImportSession(in.session_id(), in.snapshot()), out);
      });
}

absl::Status DropoutService::ForkSession(const GatedCall& call, const Bytes& request,
                                         Bytes& response) {
  return RunUnary<v1::ForkSessionRequest, v1::Session>(
      call, request, response, [&](const auto& in, auto& out) {
        return Fill(
            engine_.ForkSession(in.session_id(), SessionKey(call.tenant, in.new_session_id())),
            out);
      });
}

absl::Status DropoutService::CreateLayer(const GatedCall& call, const Bytes& request,
                                         Bytes& response) {
  return RunUnary<v1::CreateLayerRequest, v1::Layer>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const LayerConfig config, FromProto(in.layer()));
        return Fill(engine_.CreateLayer(in.session_id(), config), out);
      });
}

absl::Status DropoutService::UpdateLayer(const GatedCall& call, const Bytes& request,
                                         Bytes& response) {
  return RunUnary<v1::UpdateLayerRequest, v1::Layer>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const LayerConfig config, FromProto(in.layer()));
        return Fill(engine_.UpdateLayer(in.session_id(), config), out);
      });
}

absl::Status DropoutService::DeleteLayer(const GatedCall& call, const Bytes& request,
                                         Bytes& response) {
  return RunUnary<v1::DeleteLayerRequest, Empty>(
      call, request, response,
      [&](const auto& in, auto&) { return engine_.DeleteLayer(in.session_id(), in.layer_id()); });
}

absl::Status DropoutService::SetMode(const GatedCall& call, const Bytes& request, Bytes& response) {
  return RunUnary<v1::SetModeRequest, v1::SetModeResponse>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const Mode mode,
                                  FromProto(in.mode(), Reason::kInvalidRequest, "mode"));
        DROPOUTD_ASSIGN_OR_RETURN(
            const auto layer_ids,
            engine_.SetMode(in.session_id(), mode, {in.layer_ids().begin(), in.layer_ids().end()}));
        for (const std::string& id : layer_ids) out.add_layer_ids(id);
        out.set_mode(in.mode());
        return absl::OkStatus();
      });
}

absl::Status DropoutService::SetParameters(const GatedCall& call, const Bytes& request,
                                           Bytes& response) {
  return RunUnary<v1::SetParametersRequest, Empty>(
      call, request, response, [&](const auto& in, auto&) -> absl::Status {
        std::vector<Parameter> parameters;
        for (const v1::Parameter& message : in.parameters()) {
          DROPOUTD_ASSIGN_OR_RETURN(Parameter parameter, FromProto(message));
          parameters.push_back(std::move(parameter));
        }
        return engine_.SetParameters(in.session_id(), in.layer_id(), std::move(parameters));
      });
}

absl::Status DropoutService::GetParameters(const GatedCall& call, const Bytes& request,
                                           Bytes& response) {
  return RunUnary<v1::GetParametersRequest, v1::GetParametersResponse>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const SharedParameters parameters,
                                  engine_.GetParameters(in.session_id(), in.layer_id()));
        for (const auto& parameter : parameters->all()) {
          *out.add_parameters() = ToProto(*parameter);
        }
        return absl::OkStatus();
      });
}

absl::Status DropoutService::CreateSharedMemory(const GatedCall& call, const Bytes& request,
                                                Bytes& response) {
  return RunUnary<v1::CreateSharedMemoryRequest, v1::SharedMemory>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const SharedRegionRef region,
                                  engine_.CreateSharedMemory(in.session_id(), in.byte_size()));
        out.set_region_id(region->region_id());
        out.set_path(region->path());
        out.set_byte_size(region->byte_size());
        return absl::OkStatus();
      });
}

absl::Status DropoutService::DeleteSharedMemory(const GatedCall& call, const Bytes& request,
                                                Bytes& response) {
  return RunUnary<v1::DeleteSharedMemoryRequest, Empty>(
      call, request, response, [&](const auto& in, auto&) {
        return engine_.DeleteSharedMemory(in.session_id(), in.region_id());
      });
}

absl::Status DropoutService::GetServerInfo(const GatedCall& call, const Bytes& request,
                                           Bytes& response) {
  return RunUnary<v1::GetServerInfoRequest, v1::ServerInfo>(
      call, request, response, [&](const auto&, auto& out) {
        out.set_version(facts_.version);
        out.set_store(facts_.store);
        out.set_simd_target(facts_.simd_target);
        for (const std::string& target : facts_.simd_targets) out.add_simd_targets(target);
        for (const VariantRow& row : kVariants) out.add_variants(std::string(row.name));
        for (const std::string_view name : ScheduleNames()) out.add_schedules(std::string(name));
        if (!engine_.has_shared_memory()) {
          for (const char* const rpc : kSharedMemoryRpcs) out.add_unsupported_rpcs(rpc);
        }
        out.add_generators(v1::GENERATOR_PHILOX);
        out.add_generators(v1::GENERATOR_NUMPY_LEGACY);
        for (const auto dtype :
             {DataType::kFloat32, DataType::kFloat64, DataType::kFloat16, DataType::kBFloat16}) {
          out.add_data_types(ToProto(dtype));
        }
        const Limits& from = engine_.limits();
        v1::Limits& limits = *out.mutable_limits();
        limits.set_max_sessions(static_cast<std::int64_t>(from.max_sessions));
        limits.set_max_layers_per_session(static_cast<std::int64_t>(from.max_layers_per_session));
        limits.set_max_steps_per_layer(static_cast<std::int64_t>(from.max_steps_per_layer));
        limits.set_max_steps(static_cast<std::int64_t>(from.max_steps));
        limits.set_mask_cache_bytes(static_cast<std::int64_t>(from.mask_cache_bytes));
        limits.set_max_message_bytes(facts_.max_message_bytes);
        limits.set_max_bytes_in_flight(facts_.max_bytes_in_flight);
        *limits.mutable_default_ttl() = ToProto(from.default_ttl);
        *limits.mutable_max_ttl() = ToProto(from.max_ttl);
        return absl::OkStatus();
      });
}

}  // namespace dropoutd
