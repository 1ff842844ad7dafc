#include "server/main/health/listener_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/main/health/descriptor_limit.h"
#include "server/main/log/log.h"

namespace dropoutd {
namespace {

constexpr std::chrono::milliseconds kTimeBetweenLooks{500};
constexpr int kLooksUntilStalled = 20;
constexpr int kLooksUntilDead = 40;

constexpr char kWhatIsWrong[] =
    "connections wait and none is accepted; gRPC accepts no more once the process has had no "
    "descriptor left for a connection";
constexpr char kAdvice[] =
    "raise the limit of open files (systemd: LimitNOFILE=, Compose: ulimits, shell: ulimit -n), or "
    "open fewer connections";

}  // namespace

ListenerWatch::ListenerWatch(const std::vector<std::string>& addresses, Events events)
    : events_(std::move(events)) {
  for (OwnSocket& socket : SocketsAt(addresses)) {
    if (socket.kind != OwnSocket::Kind::kListener) continue;
    watched_.push_back({std::move(socket), {}});
  }
  for (const std::string& address : addresses) {
    const bool is_found = std::ranges::any_of(
        watched_, [&](const Watched& each) { return each.socket.address == address; });
    if (!is_found) LogEvent(LogLevel::warn, "listener_not_watched").With("address", address);
  }
  thread_ = std::thread([this] { Run(); });
}

void ListenerWatch::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ListenerWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kTimeBetweenLooks, [this] { return stop_; })) {
    lock.unlock();
    LookAtAll();
    lock.lock();
  }
}

void ListenerWatch::LookAtAll() {
  for (Watched& each : watched_) each.queue.Take(LookAtQueue(each.socket.descriptor));
  const auto worst = std::ranges::max_element(
      watched_, {}, [](const Watched& each) { return each.queue.looks_without_accept(); });
  if (worst == watched_.end()) return;
  const int looks = worst->queue.looks_without_accept();
  if (const bool accepting = looks < kLooksUntilStalled; accepting != accepting_) {
    accepting_ = accepting;
    events_.on_change(accepting);
    if (accepting) {
      LogEvent(LogLevel::warn, "listener_accepts_again").With("address", worst->socket.address);
    } else {
      LogEvent(LogLevel::err, "listener_stalled")
          .With("address", worst->socket.address)
          .With("error", kWhatIsWrong)
          .With("open_files", OpenDescriptors())
          .With("max_files", DescriptorLimit());
    }
  }
  if (looks >= kLooksUntilDead && !is_dead_) {
    is_dead_ = true;
    LogEvent(LogLevel::err, "listener_dead")
        .With("address", worst->socket.address)
        .With("error", kWhatIsWrong)
        .With("open_files", OpenDescriptors())
        .With("max_files", DescriptorLimit())
        .With("effect", "the server stops, with exit status 1; it has to be started again")
        .With("advice", kAdvice);
    events_.on_dead();
  }
}

}  // namespace dropoutd
