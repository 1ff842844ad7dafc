// Threads that work on calls, and since when each is silent.
#ifndef DROPOUTD_SERVER_BASE_RUNNING_WORK_H_
#define DROPOUTD_SERVER_BASE_RUNNING_WORK_H_

#include <chrono>
#include <cstddef>

namespace dropoutd {

// While it lives, this thread works on a call. To wait for a slow peer is not work. May be nested.
class RunningWork {
 public:
  RunningWork();
  ~RunningWork();
  RunningWork(const RunningWork&) = delete;
  RunningWork& operator=(const RunningWork&) = delete;
};

// This thread's work goes on. Every long loop passes one for each of its bounded parts. Costs a
// look at the clock.
void Checkpoint();

// How many threads have worked for longer than `limit` and passed no checkpoint. Thread-safe.
std::size_t CountStuckWork(std::chrono::nanoseconds limit);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_RUNNING_WORK_H_
