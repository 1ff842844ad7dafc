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

// Passes a checkpoint now and then in a loop whose parts are too short for one each. Not
// thread-safe.
class WorkMeter {
 public:
  // In units of about a nanosecond or a few, as an element of a tensor takes.
  void Add(std::size_t units) {
    done_ += units;
    if (done_ < kUnits) return;
    done_ = 0;
    Checkpoint();
  }

  // One of the records of a session, to read, write or forget.
  void AddRecord() { Add(kUnits / 1024); }

 private:
  static constexpr std::size_t kUnits = std::size_t{1} << 16;

  std::size_t done_ = 0;
};

// How many threads have worked for longer than `limit` and passed no checkpoint. Thread-safe.
std::size_t CountStuckWork(std::chrono::nanoseconds limit);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_RUNNING_WORK_H_
