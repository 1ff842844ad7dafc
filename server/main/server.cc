#include "server/main/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/kernels/simd_target.h"
#include "server/main/version.h"

namespace dropoutd {
namespace {

// What a message may have around its tensor: ids, shape, tags.
constexpr std::int64_t kMessageHeadroom = 64 << 10;

int ReceiveLimit(std::int64_t max_message_bytes) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::min(kMost, std::min(kMost, max_message_bytes) + kMessageHeadroom));
}

// Most bytes that gRPC holds of requests, those that are still arriving included: as much
// again as the admission lets in, so that it is the admission that refuses, with a reason.
// At its end gRPC closes idle connections, and then ends calls.
std::size_t ReceiveQuota(std::int64_t max_bytes_in_flight) {
  constexpr std::int64_t kLeast = std::int64_t{16} << 20;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
  return static_cast<std::size_t>(std::max(kLeast, 2 * std::min(kMost, max_bytes_in_flight)));
}

// The address with the port that was picked.
std::string BoundAddress(const std::string& address, int port) {
  if (absl::StartsWith(address, "unix:")) return address;
  return absl::StrCat(address.substr(0, address.rfind(':') + 1), port);
}

}  // namespace

Server::Server(const Flags& flags)
    : flags_(flags),
      engine_(flags.limits),
      admission_(static_cast<std::size_t>(flags.max_bytes_in_flight)),
      service_(engine_, admission_,
               {kVersion, "memory", kernels::SimdTarget(), kernels::SimdTargets(),
                flags.max_message_bytes, flags.max_bytes_in_flight}) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Flags& flags) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::unique_ptr<Server> server(new Server(flags));

  grpc::ServerBuilder builder;
  // A second server on the same port must fail, not take half of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(ReceiveLimit(flags.max_message_bytes));
  builder.SetMaxSendMessageSize(-1);
  builder.SetResourceQuota(
      grpc::ResourceQuota("dropoutd").Resize(ReceiveQuota(flags.max_bytes_in_flight)));
  builder.RegisterService(&server->service_);
  std::vector<int> ports(flags.listen.size(), 0);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    builder.AddListeningPort(flags.listen[i], grpc::InsecureServerCredentials(), &ports[i]);
  }
  server->server_ = builder.BuildAndStart();
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (server->server_ == nullptr || ports[i] <= 0) {
      if (ports[i] > 0) continue;
      return absl::UnavailableError(absl::StrCat(
          "cannot listen on ", flags.listen[i],
          ": the address is taken by another process, or is not one of this machine's"));
    }
    server->addresses_.push_back(BoundAddress(flags.listen[i], ports[i]));
  }
  if (server->server_ == nullptr) return absl::UnavailableError("cannot start the server");
  server->server_->GetHealthCheckService()->SetServingStatus(
      dropout::v1::DropoutService::service_full_name(), true);
  return server;
}

Server::~Server() { Drain(); }

void Server::Drain() {
  if (server_ == nullptr) return;
  server_->GetHealthCheckService()->Shutdown();
  admission_.Drain();
  server_->Shutdown(std::chrono::system_clock::now() + flags_.drain_timeout);
  server_->Wait();
  server_.reset();
}

}  // namespace dropoutd
