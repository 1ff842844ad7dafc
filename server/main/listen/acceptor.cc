#include "server/main/listen/acceptor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "server/main/health/descriptor_limit.h"
#include "server/main/log/log.h"

namespace dropoutd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostAtOnce = 64;  // Of one listener, before the next has its turn.
constexpr std::chrono::milliseconds kPause{20};
constexpr std::chrono::seconds kUntilNotAccepting{10};
constexpr std::chrono::seconds kBetweenLogs{10};
constexpr std::chrono::milliseconds kBetweenLooks{5};
constexpr std::chrono::milliseconds kBetweenSenders{100};

constexpr char kAdvice[] =
    "raise the limit of open files (systemd: LimitNOFILE=, Compose: ulimits, shell: ulimit -n) and "
    "--max_connections, or open fewer connections";

int OpenSpare() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

bool CanOpen() {
  const int descriptor = OpenSpare();
  if (descriptor >= 0) close(descriptor);
  return descriptor >= 0;
}

// Whether accept failed because the client has gone, and not for want of something.
bool IsOfTheConnection(int error) {
  return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM;
}

// Whether its client has reset the connection by now, about which gRPC would write a line.
bool HasGone(int connection) {
  sockaddr_storage peer;
  socklen_t size = sizeof(peer);
  return getpeername(connection, reinterpret_cast<sockaddr*>(&peer), &size) != 0;
}

}  // namespace

void Acceptor::Add(ListeningSockets sockets, std::shared_ptr<grpc::ServerCredentials> credentials,
                   grpc::ServerBuilder& builder) {
  using Kind = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  servers_.push_back(
      builder.experimental().AddExternalConnectionAcceptor(Kind::FROM_FD, std::move(credentials)));
  for (const int descriptor : sockets.descriptors()) {
    listeners_.push_back({descriptor, servers_.back().get()});
  }
  sockets_.push_back(std::move(sockets));
}

void Acceptor::Start(OnChange on_change) {
  on_change_ = std::move(on_change);
  wake_ = eventfd(0, EFD_CLOEXEC);
  spare_ = OpenSpare();
  thread_ = std::thread([this] { Run(); });
  looks_ =
      std::make_unique<Ticker>(kBetweenSenders, [this] { connections_.CloseSenselessSenders(); });
}

void Acceptor::Stop() {
  if (!thread_.joinable()) return;
  eventfd_write(wake_, 1);
  thread_.join();
  looks_.reset();
  listeners_.clear();
  sockets_.clear();
  close(wake_);
  close(spare_);
}

void Acceptor::CloseConnections(Clock::time_point deadline) {
  Stop();
  while (connections_.ShutDownWrites() != 0 && Clock::now() < deadline) {
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

void Acceptor::Run() {
  std::vector<pollfd> polled;
  for (const Listener& each : listeners_) polled.push_back({each.descriptor, POLLIN, 0});
  polled.push_back({wake_, POLLIN, 0});
  for (;;) {
    poll(polled.data(), polled.size(), failing_since_.has_value() ? kPause.count() : -1);
    if (polled.back().revents != 0) return;
    if (spare_ < 0) spare_ = OpenSpare();
    bool had_descriptors = true;
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
      if (polled[i].revents != 0) had_descriptors &= AcceptFrom(listeners_[i]);
    }
    // Nobody may come to a server that is not ready, so it has to see by itself that it is again.
    if (failing_since_.has_value() && had_descriptors) had_descriptors = CanOpen();
    Judge(had_descriptors);
    if (!had_descriptors) std::this_thread::sleep_for(kPause);
  }
}

bool Acceptor::AcceptFrom(const Listener& listener) {
  bool had_descriptors = true;
  for (int i = 0; i < kMostAtOnce; ++i) {
    const int connection =
        accept4(listener.descriptor, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection >= 0) {
      Serve(listener, connection);
    } else if (errno == EAGAIN || IsOfTheConnection(errno)) {
      return had_descriptors;
    } else {
      had_descriptors = false;
      if (!TurnAwayWaiting(listener.descriptor)) return false;
    }
  }
  return had_descriptors;
}

void Acceptor::Serve(const Listener& listener, int connection) {
  if (HasGone(connection)) {
    close(connection);
    return;
  }
  if (!connections_.Add(connection)) return TurnAway(connection);
  External::NewConnectionParameters parameters;
  parameters.listener_fd = listener.descriptor;
  parameters.fd = connection;
  listener.server->HandleNewConnection(&parameters);
}

void Acceptor::TurnAway(int connection) {
  close(connection);
  ++refused_;
  if (const auto now = Clock::now(); refused_ == 1 || now - last_log_ >= kBetweenLogs) {
    last_log_ = now;
    LogEvent(LogLevel::warn, "connections_refused")
        .With("refused", refused_.load())
        .With("max_connections", connections_.limit())
        .With("open_files", OpenDescriptors())
        .With("max_files", DescriptorLimit())
        .With("advice", kAdvice);
  }
}

bool Acceptor::TurnAwayWaiting(int listener) {
  close(spare_);
  const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (connection >= 0) TurnAway(connection);
  spare_ = OpenSpare();
  return connection >= 0;
}

void Acceptor::Judge(bool could_accept) {
  const auto now = Clock::now();
  if (could_accept) {
    failing_since_.reset();
  } else if (!failing_since_.has_value()) {
    failing_since_ = now;
  }
  const bool accepting = could_accept || now - *failing_since_ < kUntilNotAccepting;
  if (accepting == accepting_) return;
  accepting_ = accepting;
  on_change_();
  LogEvent(accepting ? LogLevel::warn : LogLevel::err,
           accepting ? "listener_accepts_again" : "listener_stalled")
      .With("open_files", OpenDescriptors())
      .With("max_files", DescriptorLimit())
      .With("advice", kAdvice);
}

}  // namespace dropoutd
