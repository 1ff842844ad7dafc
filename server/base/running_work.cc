#include "server/base/running_work.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>

namespace dropoutd {
namespace {

std::int64_t Now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// A thread's last sign of life; 0 while it does not work.
using LastSign = std::atomic<std::int64_t>;

struct Threads {
  std::mutex mutex;
  std::list<LastSign> signs;
};

// Never destroyed: threads may end after it would be.
Threads& AllThreads() {
  static Threads& threads = *new Threads;
  return threads;
}

// One for each thread that ever works, from its first work to its end.
class ThisThread {
 public:
  ThisThread() {
    Threads& threads = AllThreads();
    const std::lock_guard lock(threads.mutex);
    place_ = threads.signs.emplace(threads.signs.end(), 0);
  }
  ~ThisThread() {
    Threads& threads = AllThreads();
    const std::lock_guard lock(threads.mutex);
    threads.signs.erase(place_);
  }
  ThisThread(const ThisThread&) = delete;
  ThisThread& operator=(const ThisThread&) = delete;

  void Begin() {
    if (depth_++ == 0) Sign();
  }
  void Sign() { place_->store(Now(), std::memory_order_relaxed); }
  void End() {
    if (--depth_ == 0) place_->store(0, std::memory_order_relaxed);
  }
  bool works() const { return depth_ != 0; }

 private:
  std::list<LastSign>::iterator place_;
  int depth_ = 0;
};

thread_local ThisThread this_thread;

}  // namespace

RunningWork::RunningWork() { this_thread.Begin(); }
RunningWork::~RunningWork() { this_thread.End(); }

void Checkpoint() {
  if (this_thread.works()) this_thread.Sign();
}

std::size_t CountStuckWork(std::chrono::nanoseconds limit) {
  using Ticks = std::chrono::steady_clock::duration;
  const std::int64_t before = Now() - std::chrono::duration_cast<Ticks>(limit).count();
  Threads& threads = AllThreads();
  const std::lock_guard lock(threads.mutex);
  return static_cast<std::size_t>(
      std::ranges::count_if(threads.signs, [before](const LastSign& each) {
        const std::int64_t sign = each.load(std::memory_order_relaxed);
        return sign != 0 && sign < before;
      }));
}

}  // namespace dropoutd
