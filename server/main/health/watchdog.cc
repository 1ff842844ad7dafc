#include "server/main/health/watchdog.h"

#include <utility>

#include "server/base/running_work.h"
#include "server/main/log/log.h"

namespace dropoutd {
namespace {

constexpr std::chrono::milliseconds kBetweenCounts{500};

}  // namespace

Watchdog::Watchdog(std::chrono::nanoseconds limit, OnChange on_change)
    : limit_(limit),
      on_change_(std::move(on_change)),
      ticker_(kBetweenCounts, [this] { Count(); }) {}

void Watchdog::Count() {
  const std::size_t stuck = CountStuckWork(limit_);
  const std::size_t before = stuck_.exchange(stuck);
  if (stuck > before) {
    LogEvent(LogLevel::err, "calls_stuck")
        .With("calls", stuck)
        .With("watchdog_seconds", std::chrono::duration<double>(limit_).count())
        .With("advice", "a fault of the program: report it with the lines before this one");
  }
  if ((stuck != 0) != (before != 0)) on_change_();
}

}  // namespace dropoutd
