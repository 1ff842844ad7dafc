// Whether the store works, known without asking it.
#ifndef DROPOUTD_SERVER_MAIN_HEALTH_STORE_WATCH_H_
#define DROPOUTD_SERVER_MAIN_HEALTH_STORE_WATCH_H_

#include <atomic>
#include <chrono>

#include "server/base/ticker.h"
#include "server/store/store.h"

namespace dropoutd {

// Asks the store once a second, on a thread of its own, from construction to destruction. The store
// must outlive it, and counts as good at the beginning: it was opened just now. Thread-safe.
class StoreWatch {
 public:
  explicit StoreWatch(Store& store);

  // Asks no more. Returns at once; the last question may be under way.
  void Stop() { ticker_.Stop(); }

  // What the store said last; false also while it owes an answer for more than four seconds. Never
  // waits.
  bool ok() const;

 private:
  using Clock = std::chrono::steady_clock;

  void Ask();

  Store& store_;
  std::atomic<bool> last_ok_{true};
  std::atomic<Clock::time_point> asked_{Clock::time_point::max()};  // The largest: not waiting.
  Ticker ticker_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_HEALTH_STORE_WATCH_H_
