#include "server/main/server.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/kernels/simd_target.h"
#include "server/main/auth/listen_address.h"
#include "server/main/connections.h"
#include "server/main/health/descriptor_limit.h"
#include "server/main/log/log.h"
#include "server/main/metrics/engine_metrics.h"
#include "server/main/metrics/store_metrics.h"
#include "server/main/version.h"
#include "server/memory/fault_guard.h"
#include "server/service/descriptor.h"
#include "server/service/message_size.h"

namespace dropoutd {
namespace {

// Most bytes that gRPC holds of requests, those that are still arriving included: as much
// again as the admission lets in, so that it is the admission that refuses, with a reason.
// At its end gRPC closes idle connections, and then ends calls.
std::size_t ReceiveQuota(std::int64_t max_bytes_in_flight) {
  constexpr std::int64_t kLeast = std::int64_t{16} << 20;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
  return static_cast<std::size_t>(std::max(kLeast, 2 * std::min(kMost, max_bytes_in_flight)));
}

// What the limits on memory add up to, with what docs/operations.md says that things cost.
std::int64_t MemoryBound(const Flags& flags) {
  constexpr std::int64_t kProgram = 64 << 20;
  constexpr std::int64_t kStep = 320;
  constexpr std::int64_t kSession = 1 << 10;
  const Limits& limits = flags.limits;
  // Requests, which gRPC's quota bounds, what compressed ones inflate to, and their answers.
  return kProgram + 4 * flags.admission.bytes_in_flight +
         static_cast<std::int64_t>(limits.mask_cache_bytes) +
         kStep * static_cast<std::int64_t>(limits.max_steps) +
         kSession * static_cast<std::int64_t>(limits.max_sessions);
}

// What the last answers, and then the peers' ends of their connections, may take.
constexpr std::chrono::milliseconds kGrace{500};

// The address with the port that was picked.
std::string BoundAddress(const std::string& address, int port) {
  if (absl::StartsWith(address, "unix:")) return address;
  return absl::StrCat(address.substr(0, address.rfind(':') + 1), port);
}

// gRPC's reflection adds itself to every server of a program that is linked to it.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins,
                  [](const auto& plugin) { return plugin->name() == "proto_server_reflection"; });
  }
};

absl::Status AddressTaken(const std::string& address) {
  return absl::UnavailableError(absl::StrCat(
      "cannot listen on ", address, ": ",
      IsUnixSocket(address)
          ? "another process listens there, or the path cannot be written"
          : "the address is taken by another process, or is not one of this machine's"));
}

// gRPC ends with its last user, and then waits for a thread of its own that may sit in a poll of
// ten seconds, long after the last call. The process ends without that.
void KeepGrpcToTheEnd() {
  static const bool is_kept = (grpc_init(), true);
  static_cast<void>(is_kept);
}

}  // namespace

Server::Server(const Flags& flags, std::unique_ptr<Security> security, std::unique_ptr<Store> store)
    : flags_(flags),
      security_(std::move(security)),
      monitor_(flags.metrics_listen.empty() ? nullptr : std::make_unique<Monitor>()),
      store_(store != nullptr && monitor_ != nullptr
                 ? MeasureStore(std::move(store), monitor_->registry())
                 : std::move(store)),
      store_watch_(store_ != nullptr && monitor_ != nullptr ? std::make_unique<StoreWatch>(*store_)
                                                            : nullptr),
      engine_(flags.limits, Clock::System(), store_.get()),
      admission_(flags.admission, flags.tenant_admission),
      gate_(security_->authenticator(), admission_, monitor_.get()),
      service_(engine_, gate_,
               {kVersion, store_ == nullptr ? "memory" : std::string(store_->kind()),
                kernels::SimdTarget(), kernels::SimdTargets(), flags.max_message_bytes,
                flags.admission.bytes_in_flight}) {}

// Each region holds a descriptor, and most are left for connections.
std::size_t RegionLimit() {
  return std::min(FaultGuard::kMaxGuards, static_cast<std::size_t>(DescriptorLimit() / 4));
}

absl::Status Server::OpenSharedMemory() {
  SharedMemoryOptions options = flags_.shared_memory_options;
  options.max_regions = RegionLimit();
  if (flags_.security.has_tenants()) options.tenant_max_regions = (options.max_regions + 1) / 2;
  DROPOUTD_ASSIGN_OR_RETURN(shared_memory_, SharedMemory::Open(options));
  engine_.UseSharedMemory(*shared_memory_);
  return absl::OkStatus();
}

void Server::WatchListeners(std::function<void()> on_failure) {
  listener_watch_ = std::make_unique<ListenerWatch>(
      addresses_, ListenerWatch::Events{
                      .on_change =
                          [this](bool accepting) {
                            server_->GetHealthCheckService()->SetServingStatus(accepting);
                          },
                      .on_dead =
                          [this, on_failure = std::move(on_failure)] {
                            failed_ = true;
                            on_failure();
                          },
                  });
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Flags& flags,
                                                      std::function<void()> on_failure) {
  RaiseDescriptorLimit();
  DROPOUTD_ASSIGN_OR_RETURN(std::unique_ptr<Security> security, Security::Start(flags.security));
  KeepGrpcToTheEnd();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  DROPOUTD_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenStore(flags.store));
  std::unique_ptr<Server> server(new Server(flags, std::move(security), std::move(store)));
  if (flags.shared_memory) DROPOUTD_RETURN_IF_ERROR(server->OpenSharedMemory());

  grpc::ServerBuilder builder;
  // A second server on the same port must fail, not take half of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(MaxRequestBytes(flags.max_message_bytes));
  builder.SetMaxSendMessageSize(-1);
  // gRPC would inflate without a bound, and before it is known who calls. It is done behind the
  // gate; answers are not compressed.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
  builder.SetResourceQuota(
      grpc::ResourceQuota("dropoutd").Resize(ReceiveQuota(flags.admission.bytes_in_flight)));
  if (!flags.security.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
  builder.RegisterService(&server->service_);
  std::vector<int> ports(flags.listen.size(), 0);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::string& address = flags.listen[i];
    if (IsSocketInUse(address)) return AddressTaken(address);
    builder.AddListeningPort(address, server->security_->CredentialsFor(address), &ports[i]);
  }
  server->server_ = builder.BuildAndStart();
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (server->server_ == nullptr || ports[i] <= 0) {
      if (ports[i] > 0) continue;
      return AddressTaken(flags.listen[i]);
    }
    server->addresses_.push_back(BoundAddress(flags.listen[i], ports[i]));
  }
  if (server->server_ == nullptr) return absl::UnavailableError("cannot start the server");
  server->server_->GetHealthCheckService()->SetServingStatus(ContractService().full_name(), true);
  server->WatchListeners(std::move(on_failure));
  if (server->monitor_ != nullptr) {
    DROPOUTD_RETURN_IF_ERROR(server->monitor_->Listen(
        flags.metrics_listen, {.metrics = [&server = *server] { return server.Metrics(); },
                               .is_ready = [&server = *server] { return server.IsReady(); },
                               .status = [&server = *server] { return server.Status(); }}));
  }
  return server;
}

Server::~Server() {
  Drain();
  if (monitor_ != nullptr) monitor_->Stop();  // Its pages look at everything else.
}

bool Server::IsReady() const {
  return !admission_.draining() && listener_watch_->accepting() &&
         (store_watch_ == nullptr || store_watch_->ok());
}

MetricFamilies Server::Metrics() const {
  MetricFamilies families = {
      MakeGauge("dropoutd_build_info", "1, with what was built as labels",
                {{{{"version", kVersion}, {"simd_target", kernels::SimdTarget()}}, 1}}),
      MakeGauge("dropoutd_ready", "1 while new calls are taken", {{{}, IsReady() ? 1.0 : 0.0}}),
      MakeGauge("dropoutd_bytes_in_flight", "Bytes of requests that are worked on",
                {{{}, static_cast<double>(admission_.bytes_in_flight())}}),
      MakeGauge("dropoutd_calls_in_flight", "Calls, streams and their operations",
                {{{}, static_cast<double>(admission_.calls())}}),
      MakeGauge("dropoutd_streams", "Open streams",
                {{{}, static_cast<double>(admission_.streams())}}),
      MakeGauge("dropoutd_memory_bound_bytes", "What the limits on memory add up to",
                {{{}, static_cast<double>(MemoryBound(flags_))}}),
      MakeGauge("dropoutd_reload_failed", "1 while a changed file cannot be used",
                {{{}, security_->reload_failed() ? 1.0 : 0.0}}),
  };
  std::ranges::move(EngineMetrics(engine_), std::back_inserter(families));
  if (shared_memory_ != nullptr) {
    families.push_back(MakeGauge("dropoutd_shared_memory_bytes", "Regions of shared memory",
                                 {{{}, static_cast<double>(shared_memory_->budget().bytes())}}));
  }
  if (const auto expiry = security_->certificate_expiry(); expiry.has_value()) {
    families.push_back(MakeGauge("dropoutd_certificate_expiry_time_seconds",
                                 "End of the certificate, in seconds since 1970",
                                 {{{}, static_cast<double>(*expiry)}}));
  }
  return families;
}

StatusReport Server::Status() {
  const EngineSummary summary = engine_.Summary();
  StatusReport report;
  report.server = {{"version", kVersion},
                   {"instructions", kernels::SimdTarget()},
                   {"listening on", absl::StrJoin(addresses_, ", ")},
                   {"ready", IsReady() ? "yes" : "no"},
                   {"store", store_ == nullptr ? "memory" : std::string(store_->kind())}};
  report.sessions = {{"sessions in memory", absl::StrCat(summary.sessions)},
                     {"layers in train", absl::StrCat(summary.layers_in_train)},
                     {"layers in eval", absl::StrCat(summary.layers_in_eval)},
                     {"steps", absl::StrCat(summary.steps)}};
  return report;
}

void Server::Drain() {
  if (server_ == nullptr) return;
  if (listener_watch_ != nullptr) listener_watch_->Stop();  // gRPC closes them.
  if (store_watch_ != nullptr) store_watch_->Stop();
  const auto deadline = std::chrono::steady_clock::now() + flags_.drain_timeout;
  server_->GetHealthCheckService()->Shutdown();
  admission_.Drain();
  service_.Drain();
  if (!admission_.AwaitEmpty(deadline)) {
    service_.RefuseArriving();
    admission_.AwaitEmpty(deadline + kGrace);
  }
  QuietGrpc();
  CloseConnections(addresses_, std::chrono::steady_clock::now() + kGrace);
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

}  // namespace dropoutd
