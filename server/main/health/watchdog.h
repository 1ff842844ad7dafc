// Notices calls that never end.
#ifndef DROPOUTD_SERVER_MAIN_HEALTH_WATCHDOG_H_
#define DROPOUTD_SERVER_MAIN_HEALTH_WATCHDOG_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>

#include "server/base/ticker.h"

namespace dropoutd {

// Counts, twice a second, the threads that have worked on a call for longer than the limit without
// a checkpoint: the program's own fault, or a machine that stands still. From construction to
// Stop. Thread-safe.
class Watchdog {
 public:
  // Called from the watchdog's thread when the first call is stuck, and when the last is no more.
  using OnChange = std::function<void()>;

  Watchdog(std::chrono::nanoseconds limit, OnChange on_change);

  void Stop() { ticker_.Stop(); }

  std::size_t stuck() const { return stuck_; }

 private:
  void Count();

  const std::chrono::nanoseconds limit_;
  const OnChange on_change_;
  std::atomic<std::size_t> stuck_{0};
  Ticker ticker_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_HEALTH_WATCHDOG_H_
