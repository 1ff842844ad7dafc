// The end of what does not end by itself: calls that are stuck, and a process that has some.
#include "server/main/health/watchdog.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "server/base/running_work.h"
#include "server/main/health/hard_end.h"

namespace dropoutd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What the watchdog said, each time that it did.
class Changes {
 public:
  void Add(std::size_t stuck) {
    const std::lock_guard lock(mutex_);
    counts_.push_back(stuck);
    came_.notify_all();
  }

  // The count with the change of this number; nothing if it does not come.
  std::optional<std::size_t> Await(std::size_t number) {
    std::unique_lock lock(mutex_);
    if (!came_.wait_for(lock, seconds(60), [&] { return counts_.size() > number; })) return {};
    return counts_[number];
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::size_t> counts_;
};

TEST(WatchdogTest, SaysWhenTheFirstCallIsStuckAndWhenNoneIs) {
  std::promise<void> end;
  std::thread call([&] {
    const RunningWork work;
    end.get_future().wait();
  });
  Changes changes;
  std::promise<Watchdog*> made;
  const std::shared_future<Watchdog*> watchdog_made = made.get_future().share();
  Watchdog watchdog(milliseconds(50), [&] { changes.Add(watchdog_made.get()->stuck()); });
  made.set_value(&watchdog);
  EXPECT_EQ(changes.Await(0), 1u);
  EXPECT_EQ(watchdog.stuck(), 1u);
  end.set_value();
  EXPECT_EQ(changes.Await(1), 0u);
  EXPECT_EQ(watchdog.stuck(), 0u);
  call.join();
  watchdog.Stop();
}

TEST(WatchdogTest, ACallThatPassesCheckpointsIsNotStuck) {
  std::promise<void> end;
  std::thread stuck([&] {
    const RunningWork work;
    end.get_future().wait();
  });
  std::atomic<bool> is_over{false};
  std::thread busy([&] {
    const RunningWork work;
    while (!is_over) Checkpoint();
  });
  Changes changes;
  std::promise<Watchdog*> made;
  const std::shared_future<Watchdog*> watchdog_made = made.get_future().share();
  Watchdog watchdog(seconds(2), [&] { changes.Add(watchdog_made.get()->stuck()); });
  made.set_value(&watchdog);
  EXPECT_EQ(changes.Await(0), 1u);  // The other.
  is_over = true;
  end.set_value();
  busy.join();
  stuck.join();
  watchdog.Stop();
}

// Runs `body` in a child process, which is killed if it lasts for a minute; its exit status, -1 if
// it had none.
template <typename Body>
int StatusOfChild(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    body();
    _exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

TEST(HardEndTest, EndsAProcessThatDoesNotEnd) {
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(StatusOfChild([] {
              const HardEnd end(milliseconds(100));
              while (true) pause();
            }),
            1);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, milliseconds(100));
}

TEST(HardEndTest, LeavesOneThatDoes) {
  EXPECT_EQ(StatusOfChild([] { const HardEnd end(seconds(50)); }), 0);
}

}  // namespace
}  // namespace dropoutd
