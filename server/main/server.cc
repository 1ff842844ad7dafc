#include "server/main/server.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <limits>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/kernels/simd_target.h"
#include "server/main/health/descriptor_limit.h"
#include "server/main/log/log.h"
#include "server/main/metrics/engine_metrics.h"
#include "server/main/metrics/store_metrics.h"
#include "server/main/version.h"
#include "server/memory/fault_guard.h"
#include "server/memory/heap.h"
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
double MemoryBound(const Flags& flags) {
  constexpr double kProgram = 64 << 20;
  constexpr double kStep = 320;
  constexpr double kSession = 1 << 10;
  const Limits& limits = flags.limits;
  const auto number = [](auto value) { return static_cast<double>(value); };
  // What answers are made of, on each thread that runs calls.
  const double threads = 2 * std::max(1u, std::thread::hardware_concurrency());
  const double working = 3 * threads * number(flags.max_message_bytes);
  // What is arriving, which gRPC's quota bounds, and what admitted calls hold.
  const double calls = number(ReceiveQuota(flags.admission.bytes_in_flight)) +
                       number(flags.admission.bytes_in_flight);
  return kProgram + working + calls + number(kAnswerPoolBytes) + number(limits.mask_cache_bytes) +
         number(limits.input_cache_bytes) + number(limits.max_parameter_bytes) +
         kStep * number(limits.max_steps) + kSession * number(limits.max_sessions);
}

// What the last answers, and then the peers' ends of their connections, may take.
constexpr std::chrono::milliseconds kGrace{500};

constexpr std::chrono::milliseconds kBetweenStreamEnds{500};

// Memory that nobody has used for this long goes back to the system.
constexpr std::chrono::seconds kIdleMemory{10};

// gRPC's reflection adds itself to every server of a program that is linked to it.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins,
                  [](const auto& plugin) { return plugin->name() == "proto_server_reflection"; });
  }
};

// A stream ends at the latest when it is as old as a connection may be, and may have begun when its
// connection was as old.
Nanoseconds AgeGrace(const Flags& flags) {
  return flags.connections.max_connection_age + flags.drain_timeout;
}

// Connections take what descriptors the rest leaves: a quarter for regions, and some for the store,
// the pages of metrics and the program.
std::size_t ConnectionLimit(const Flags& flags) {
  constexpr std::uint64_t kRest = 160;
  const std::uint64_t limit = DescriptorLimit();
  const std::uint64_t regions = flags.shared_memory ? limit / 4 : 0;
  const std::uint64_t left = limit - regions - std::min(limit / 2, kRest);
  const auto asked = static_cast<std::uint64_t>(flags.connections.max_connections);
  return static_cast<std::size_t>(asked == 0 ? left : std::min(asked, left));
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
      acceptor_(ConnectionLimit(flags),
                static_cast<std::size_t>(flags.connections.max_concurrent_streams)),
      gate_(security_->authenticator(), admission_, monitor_.get(), acceptor_.connections()),
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

void Server::AddListeners(std::vector<ListeningSockets> sockets, grpc::ServerBuilder& builder) {
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    addresses_.push_back(sockets[i].address());
    acceptor_.Add(std::move(sockets[i]), security_->CredentialsFor(flags_.listen[i]), builder);
  }
}

void Server::UpdateHealth() {
  server_->GetHealthCheckService()->SetServingStatus(acceptor_.accepting() &&
                                                     watchdog_->stuck() == 0);
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Flags& flags) {
  RaiseDescriptorLimit();
  std::vector<ListeningSockets> sockets;
  for (const std::string& address : flags.listen) {
    DROPOUTD_ASSIGN_OR_RETURN(ListeningSockets opened, ListeningSockets::Open(address));
    sockets.push_back(std::move(opened));
  }
  DROPOUTD_ASSIGN_OR_RETURN(std::unique_ptr<Security> security, Security::Start(flags.security));
  KeepGrpcToTheEnd();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  DROPOUTD_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenStore(flags.store));
  std::unique_ptr<Server> server(new Server(flags, std::move(security), std::move(store)));
  if (flags.shared_memory) DROPOUTD_RETURN_IF_ERROR(server->OpenSharedMemory());

  grpc::ServerBuilder builder;
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
  server->AddListeners(std::move(sockets), builder);
  ApplyLimits(flags.connections, AgeGrace(flags), builder);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return absl::UnavailableError("cannot start the server");
  server->server_->GetHealthCheckService()->SetServingStatus(ContractService().full_name(), true);
  server->watchdog_ =
      std::make_unique<Watchdog>(flags.watchdog, [&server = *server] { server.UpdateHealth(); });
  server->memory_release_ = std::make_unique<Ticker>(kIdleMemory, [&service = server->service_] {
    service.ReleaseIdle(kIdleMemory);
    ReleaseFreedMemory();
  });
  if (const auto age = flags.connections.max_connection_age; age.count() != 0) {
    server->stream_ends_ = std::make_unique<Ticker>(
        std::min<Nanoseconds>(age, kBetweenStreamEnds), [&service = server->service_, age] {
          service.EndStreams(std::chrono::steady_clock::now() - age);
        });
  }
  server->acceptor_.Start([&server = *server] { server.UpdateHealth(); });
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
  return !admission_.draining() && acceptor_.accepting() && watchdog_->stuck() == 0 &&
         (store_watch_ == nullptr || store_watch_->ok());
}

MetricFamilies Server::Metrics() {
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
      MakeGauge("dropoutd_connections", "Open connections",
                {{{}, static_cast<double>(acceptor_.connections().Count())}}),
      MakeGauge("dropoutd_max_connections", "Most connections at once",
                {{{}, static_cast<double>(acceptor_.connections().limit())}}),
      MakeCounter("dropoutd_connections_refused_total", "Connections above that, closed at once",
                  {{{}, static_cast<double>(acceptor_.refused())}}),
      MakeCounter("dropoutd_connections_closed_for_abuse_total",
                  "Connections closed because their clients do not keep to HTTP/2's limits",
                  {{{}, static_cast<double>(acceptor_.connections().abused())}}),
      MakeGauge("dropoutd_stuck_calls", "Calls that work without a sign of life",
                {{{}, static_cast<double>(watchdog_->stuck())}}),
      MakeGauge("dropoutd_memory_bound_bytes", "What the limits on memory add up to",
                {{{}, MemoryBound(flags_)}}),
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
  if (watchdog_ != nullptr) watchdog_->Stop();
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
  acceptor_.CloseConnections(std::chrono::steady_clock::now() + kGrace);
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

}  // namespace dropoutd
