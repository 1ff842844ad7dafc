// Does something again and again.
#ifndef DROPOUTD_SERVER_BASE_TICKER_H_
#define DROPOUTD_SERVER_BASE_TICKER_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace dropoutd {

// Calls `tick` on a thread of its own, at once and then each time that `period` has passed since it
// returned. Thread-safe.
class Ticker {
 public:
  Ticker(std::chrono::nanoseconds period, std::function<void()> tick);
  // Waits for the tick that is under way.
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  // No tick begins any more. Returns at once.
  void Stop();

 private:
  void Run();

  const std::chrono::nanoseconds period_;
  const std::function<void()> tick_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_TICKER_H_
