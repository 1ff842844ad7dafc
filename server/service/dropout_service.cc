#include "server/service/dropout_service.h"

#include <google/protobuf/empty.pb.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/dropout/schedule.h"
#include "server/dropout/variant.h"
#include "server/service/convert.h"
#include "server/service/unary.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;
using google::protobuf::Empty;

constexpr std::array kSharedMemoryRpcs = {"CreateSharedMemory", "DeleteSharedMemory"};

// Idle memory for answers: a few of the largest with default flags.
constexpr std::size_t kPoolBytes = std::size_t{128} << 20;

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

DropoutService::DropoutService(Engine& engine, CallGate& gate, ServerFacts facts)
    : engine_(engine),
      gate_(gate),
      facts_(std::move(facts)),
      pool_(kPoolBytes),
      workers_(std::max(1u, std::thread::hardware_concurrency()) - 1) {}

DropoutService::Reactor* DropoutService::CreateSession(Context* context, const Bytes* request,
                                                       Bytes* response) {
  return RunUnary<v1::CreateSessionRequest, v1::Session>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(SessionSpec spec, FromProto(in));
        return Fill(engine_.CreateSession(std::move(spec)), out);
      });
}

DropoutService::Reactor* DropoutService::GetSession(Context* context, const Bytes* request,
                                                    Bytes* response) {
  return RunUnary<v1::GetSessionRequest, v1::Session>(
      gate_, *context, *request, *response,
      [&](const auto& in, auto& out) { return Fill(engine_.GetSession(in.session_id()), out); });
}

DropoutService::Reactor* DropoutService::ListSessions(Context* context, const Bytes* request,
                                                      Bytes* response) {
  return RunUnary<v1::ListSessionsRequest, v1::ListSessionsResponse>(
      gate_, *context, *request, *response,
      [&](const auto& in, auto& out, const GatedCall& call) -> absl::Status {
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
        if (!page.next.empty()) {
          const std::string_view id = SessionIdOf(page.next);
          out.set_next_page_token(
              absl::StrCat(kPagePrefix, absl::string_view(id.data(), id.size())));
        }
        return absl::OkStatus();
      });
}

DropoutService::Reactor* DropoutService::DeleteSession(Context* context, const Bytes* request,
                                                       Bytes* response) {
  return RunUnary<v1::DeleteSessionRequest, Empty>(
      gate_, *context, *request, *response,
      [&](const auto& in, auto&) { return engine_.DeleteSession(in.session_id()); });
}

DropoutService::Reactor* DropoutService::ExportSession(Context* context, const Bytes* request,
                                                       Bytes* response) {
  return RunUnary<v1::ExportSessionRequest, v1::ExportSessionResponse>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(*out.mutable_snapshot(), engine_.ExportSession(in.session_id()));
        return absl::OkStatus();
      });
}

DropoutService::Reactor* DropoutService::ImportSession(Context* context, const Bytes* request,
                                                       Bytes* response) {
  return RunUnary<v1::ImportSessionRequest, v1::Session>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) {
        return Fill(engine_.ImportSession(in.session_id(), in.snapshot()), out);
      });
}

DropoutService::Reactor* DropoutService::ForkSession(Context* context, const Bytes* request,
                                                     Bytes* response) {
  return RunUnary<v1::ForkSessionRequest, v1::Session>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out, const GatedCall& call) {
        return Fill(
            engine_.ForkSession(in.session_id(), SessionKey(call.tenant, in.new_session_id())),
            out);
      });
}

DropoutService::Reactor* DropoutService::CreateLayer(Context* context, const Bytes* request,
                                                     Bytes* response) {
  return RunUnary<v1::CreateLayerRequest, v1::Layer>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const LayerConfig config, FromProto(in.layer()));
        return Fill(engine_.CreateLayer(in.session_id(), config), out);
      });
}

DropoutService::Reactor* DropoutService::UpdateLayer(Context* context, const Bytes* request,
                                                     Bytes* response) {
  return RunUnary<v1::UpdateLayerRequest, v1::Layer>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const LayerConfig config, FromProto(in.layer()));
        return Fill(engine_.UpdateLayer(in.session_id(), config), out);
      });
}

DropoutService::Reactor* DropoutService::DeleteLayer(Context* context, const Bytes* request,
                                                     Bytes* response) {
  return RunUnary<v1::DeleteLayerRequest, Empty>(
      gate_, *context, *request, *response,
      [&](const auto& in, auto&) { return engine_.DeleteLayer(in.session_id(), in.layer_id()); });
}

DropoutService::Reactor* DropoutService::SetMode(Context* context, const Bytes* request,
                                                 Bytes* response) {
  return RunUnary<v1::SetModeRequest, v1::SetModeResponse>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
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

DropoutService::Reactor* DropoutService::SetParameters(Context* context, const Bytes* request,
                                                       Bytes* response) {
  return RunUnary<v1::SetParametersRequest, Empty>(
      gate_, *context, *request, *response, [&](const auto& in, auto&) -> absl::Status {
        std::vector<Parameter> parameters;
        for (const v1::Parameter& message : in.parameters()) {
          DROPOUTD_ASSIGN_OR_RETURN(Parameter parameter, FromProto(message));
          parameters.push_back(std::move(parameter));
        }
        return engine_.SetParameters(in.session_id(), in.layer_id(), std::move(parameters));
      });
}

DropoutService::Reactor* DropoutService::GetParameters(Context* context, const Bytes* request,
                                                       Bytes* response) {
  return RunUnary<v1::GetParametersRequest, v1::GetParametersResponse>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const SharedParameters parameters,
                                  engine_.GetParameters(in.session_id(), in.layer_id()));
        for (const auto& parameter : parameters->all()) {
          *out.add_parameters() = ToProto(*parameter);
        }
        return absl::OkStatus();
      });
}

DropoutService::Reactor* DropoutService::CreateSharedMemory(Context* context, const Bytes* request,
                                                            Bytes* response) {
  return RunUnary<v1::CreateSharedMemoryRequest, v1::SharedMemory>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const SharedRegionRef region,
                                  engine_.CreateSharedMemory(in.session_id(), in.byte_size()));
        out.set_region_id(region->region_id());
        out.set_path(region->path());
        out.set_byte_size(region->byte_size());
        return absl::OkStatus();
      });
}

DropoutService::Reactor* DropoutService::DeleteSharedMemory(Context* context, const Bytes* request,
                                                            Bytes* response) {
  return RunUnary<v1::DeleteSharedMemoryRequest, Empty>(
      gate_, *context, *request, *response, [&](const auto& in, auto&) {
        return engine_.DeleteSharedMemory(in.session_id(), in.region_id());
      });
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* DropoutService::Exchange(
    Context* context) {
  return streams_.Start(*context, Resources(), gate_);
}

DropoutService::Reactor* DropoutService::GetServerInfo(Context* context, const Bytes* request,
                                                       Bytes* response) {
  return RunUnary<v1::GetServerInfoRequest, v1::ServerInfo>(
      gate_, *context, *request, *response, [&](const auto&, auto& out) {
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
