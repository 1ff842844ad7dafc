// Virtual time, and threads that take turns as a seed says.
#ifndef DROPOUTD_TESTS_SIMULATION_SCHEDULER_H_
#define DROPOUTD_TESTS_SIMULATION_SCHEDULER_H_

#include <ucontext.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tests/simulation/random_source.h"

namespace dropoutd {

// Threads that share one of the operating system, each with a stack of its own:
// the one that runs hands on where it waits, and the seed chooses to whom. Time
// stands still while any thread can run; then it goes on to the next event. So
// a run depends on its seed alone, as long as all that waits does so through
// here: no thread may keep a mutex that is not a SlowMutex while it waits.
//
// While one exists, SlowMutex and the random source of server/base are its own;
// so there is one at a time. Functions are called by the thread that runs, or
// by the one that made it, before Run.
class Scheduler {
 public:
  using Time = std::chrono::nanoseconds;  // Since the simulation's beginning.
  using ThreadId = std::size_t;

  explicit Scheduler(std::uint64_t seed);
  ~Scheduler();  // After Run, or if nothing was spawned.
  Scheduler(const Scheduler &) = delete;
  Scheduler &operator=(const Scheduler &) = delete;

  // A thread more; also from a thread of the simulation.
  void Spawn(std::string name, std::function<void()> body);

  // Calls `event` at that time, or now if it has passed. It must not wait.
  void At(Time time, std::function<void()> event);

  // Until all threads have ended; events that are left are dropped. A deadlock,
  // or a run without an end, is written to the standard error and ends the
  // process.
  void Run();

  Time now() const { return now_; }
  RandomSource64 &random() { return random_; }

  // Of the thread that runs.
  ThreadId current() const { return current_; }
  void Yield();  // Others may run first, at the same time.
  void Sleep(Time duration);
  bool Block(Time until);      // Whether Wake came before.
  void Wake(ThreadId thread);  // Also from an event. Does nothing to one that is
                               // not blocked.

  // Called before the process ends for a deadlock, to print what led to it.
  void set_on_stuck(std::function<void()> on_stuck) { on_stuck_ = std::move(on_stuck); }

  // Turns that threads have taken.
  std::uint64_t turns() const { return turns_; }

 private:
  enum class State { kReady, kContending, kBlocked, kDone };
  struct Thread {
    std::string name;
    State state = State::kReady;
    Time until{0};  // Of a blocked one.
    bool is_woken = false;
    std::function<void()> body;
    std::unique_ptr<std::byte[]> stack;
    ucontext_t context = {};
  };

  static void ContendFromMutex();
  static std::uint64_t DrawForServer();
  static void Enter();  // Runs the body of the thread whose turn it is.

  void Switch(State state);  // From the running thread to the next.
  void MakeReady();          // Those who could not have their mutex.
  bool Choose();             // The next to run; false if all are done.
  bool RunEvents();
  void WakeSleepers();
  bool Advance();  // Whether there is anything to wait for.
  [[noreturn]] void Stuck(const char *why);

  RandomSource64 random_;
  RandomSource64 server_random_;
  Time now_{0};
  std::multimap<Time, std::function<void()>> events_;
  std::vector<std::unique_ptr<Thread>> threads_;
  ThreadId current_ = 0;
  std::uint64_t turns_ = 0;
  std::uint64_t turns_at_this_time_ = 0;
  std::function<void()> on_stuck_;
  ucontext_t caller_ = {};  // Of Run.
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_SCHEDULER_H_
