// The end of a process that cannot end by itself.
#ifndef DROPOUTD_SERVER_MAIN_HEALTH_HARD_END_H_
#define DROPOUTD_SERVER_MAIN_HEALTH_HARD_END_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace dropoutd {

// Ends the process with exit status 1 unless it is destroyed within `limit`: a call that is stuck
// must not keep a server alive that was told to stop.
class HardEnd {
 public:
  explicit HardEnd(std::chrono::nanoseconds limit);
  ~HardEnd();
  HardEnd(const HardEnd&) = delete;
  HardEnd& operator=(const HardEnd&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_HEALTH_HARD_END_H_
