// So many events a second, and no more.
#ifndef DROPOUTD_SERVER_MAIN_GATE_RATE_LIMITER_H_
#define DROPOUTD_SERVER_MAIN_GATE_RATE_LIMITER_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace dropoutd {

// A token bucket that holds one second's worth, as the virtual scheduling algorithm of the
// generic cell rate algorithm (ITU-T I.371). Thread-safe, without a lock.
class RateLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // 0: no limit.
  explicit RateLimiter(std::int64_t per_second)
      : interval_(per_second > 0 ? std::max<std::int64_t>(1, kSecond / per_second) : 0) {}

  // Whether another event may happen now; counts it if so.
  bool Allow(Time time) {
    if (interval_ == 0) return true;
    const std::int64_t now = time.time_since_epoch().count();
    std::int64_t due = due_.load(std::memory_order_relaxed);
    std::int64_t next;
    do {
      next = (due > now ? due : now) + interval_;
      if (next - now > kSecond) return false;
    } while (!due_.compare_exchange_weak(due, next, std::memory_order_relaxed));
    return true;
  }

 private:
  static_assert(std::chrono::steady_clock::period::den == 1'000'000'000);
  static constexpr std::int64_t kSecond = 1'000'000'000;

  const std::int64_t interval_;       // Nanoseconds from one event to the next.
  std::atomic<std::int64_t> due_{0};  // When the bucket is full again.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_GATE_RATE_LIMITER_H_
