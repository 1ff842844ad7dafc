// The clock that the sessions in a SQLite file live by.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_CLOCK_H_
#define DROPOUTD_SERVER_STORE_SQLITE_CLOCK_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

namespace dropoutd {

// Counts microseconds while a server has the file open, and stands still between. So no step of the
// machine's clock ends a session, and time spent down does not count. Thread-safe once it is set.
class SqliteClock {
 public:
  using Now = std::function<std::chrono::steady_clock::time_point()>;

  // Where a new file's clock begins; what must end at once ends before.
  static constexpr std::int64_t kBeginning = 1'000'000;

  explicit SqliteClock(Now now) : now_(std::move(now)), opened_(now_()) {}

  // Goes on from what the file says. Call it before any other thread reads the clock.
  void Continue(std::int64_t saved) {
    opened_ = now_();
    begin_ = saved;
  }

  std::int64_t Read() const {
    return begin_ + std::chrono::duration_cast<std::chrono::microseconds>(now_() - opened_).count();
  }

  // When what lasts for `ttl` from now ends.
  std::int64_t After(std::chrono::nanoseconds ttl) const {
    const std::int64_t now = Read();
    const std::int64_t micros = std::chrono::duration_cast<std::chrono::microseconds>(ttl).count();
    return micros > std::numeric_limits<std::int64_t>::max() - now
               ? std::numeric_limits<std::int64_t>::max()
               : now + micros;
  }

 private:
  const Now now_;
  std::chrono::steady_clock::time_point opened_;
  std::int64_t begin_ = kBeginning;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_CLOCK_H_
