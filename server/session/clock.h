// Time, so that tests can bring their own.
#ifndef DROPOUTD_SERVER_SESSION_CLOCK_H_
#define DROPOUTD_SERVER_SESSION_CLOCK_H_

#include <chrono>

namespace dropoutd {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;
using Nanoseconds = std::chrono::nanoseconds;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // For lifetimes: never jumps.
  virtual SteadyTime Now() const = 0;

  // For timestamps that people read.
  virtual WallTime WallNow() const = 0;

  // The machine's clock. Lives for ever.
  static const Clock& System();
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_CLOCK_H_
