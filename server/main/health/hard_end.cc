#include "server/main/health/hard_end.h"

#include <unistd.h>

#include "server/main/log/log.h"

namespace dropoutd {

HardEnd::HardEnd(std::chrono::nanoseconds limit)
    : thread_([this, limit] {
        std::unique_lock lock(mutex_);
        if (wake_.wait_for(lock, limit, [this] { return is_over_; })) return;
        LogEvent(LogLevel::err, "stopped")
            .With("error",
                  "calls did not end within --drain_timeout; the process ends without them");
        FlushLog();
        _exit(1);
      }) {}

HardEnd::~HardEnd() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

}  // namespace dropoutd
