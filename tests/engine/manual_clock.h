// A clock that stands still until a test moves it.
#ifndef DROPOUTD_TESTS_ENGINE_MANUAL_CLOCK_H_
#define DROPOUTD_TESTS_ENGINE_MANUAL_CLOCK_H_

#include <atomic>
#include <chrono>

#include "server/session/clock.h"

namespace dropoutd {

// Thread-safe. Starts at an arbitrary time that is far from the epoch.
class ManualClock : public Clock {
 public:
  SteadyTime Now() const override { return SteadyTime(Start() + since_start_.load()); }
  WallTime WallNow() const override {
    return WallTime(
        std::chrono::duration_cast<WallTime::duration>(2 * Start() + since_start_.load()));
  }

  // Both times move together.
  void Advance(Nanoseconds by) {
    Nanoseconds now = since_start_.load();
    while (!since_start_.compare_exchange_weak(now, now + by)) {
    }
  }

 private:
  static constexpr Nanoseconds Start() { return std::chrono::hours(24 * 365); }

  std::atomic<Nanoseconds> since_start_{Nanoseconds(0)};
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_ENGINE_MANUAL_CLOCK_H_
