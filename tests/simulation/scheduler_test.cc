// Virtual time and threads that take turns.
#include "tests/simulation/scheduler.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>

#include "server/base/random_id.h"
#include "server/base/slow_mutex.h"

namespace dropoutd {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

std::string OrderOf(std::uint64_t seed) {
  Scheduler scheduler(seed);
  std::string order;
  for (const char name : {'a', 'b', 'c'}) {
    scheduler.Spawn(std::string(1, name), [&scheduler, &order, name] {
      for (int i = 0; i < 5; ++i) {
        order += name;
        scheduler.Yield();
      }
      order += std::to_string(RandomSeed() % 10);
    });
  }
  scheduler.Run();
  return order;
}

TEST(SchedulerTest, TheSeedDecidesTheOrder) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    orders.insert(OrderOf(seed));
    EXPECT_EQ(OrderOf(seed), OrderOf(seed));
  }
  EXPECT_GT(orders.size(), 15u);
}

TEST(SchedulerTest, TimePassesOnlyWhereAllWait) {
  Scheduler scheduler(1);
  std::string seen;
  scheduler.Spawn("sleeper", [&] {
    scheduler.Sleep(hours(5));
    seen += "s";
    EXPECT_EQ(scheduler.now(), hours(5));
  });
  scheduler.Spawn("busy", [&] {
    for (int i = 0; i < 100; ++i) scheduler.Yield();
    EXPECT_EQ(scheduler.now(), hours(0));
    seen += "b";
  });
  scheduler.At(hours(4), [&] { seen += "4"; });
  scheduler.At(hours(3), [&] { seen += "3"; });
  scheduler.Run();
  EXPECT_EQ(seen, "b34s");
}

TEST(SchedulerTest, WhoIsBlockedRunsWhenItIsWokenOrItsTimeIsOver) {
  Scheduler scheduler(1);
  scheduler.Spawn("waiter", [&] {
    const auto self = scheduler.current();
    scheduler.At(milliseconds(10), [&scheduler, self] { scheduler.Wake(self); });
    EXPECT_TRUE(scheduler.Block(milliseconds(20)));
    EXPECT_EQ(scheduler.now(), milliseconds(10));
    EXPECT_FALSE(scheduler.Block(milliseconds(30)));
    EXPECT_EQ(scheduler.now(), milliseconds(30));
  });
  scheduler.Run();
}

TEST(SchedulerTest, AMutexIsGivenUpByWhoWaitsElsewhere) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Scheduler scheduler(seed);
    SlowMutex mutex;
    bool is_held = false;
    int done = 0;
    for (int i = 0; i < 5; ++i) {
      scheduler.Spawn("locker", [&] {
        for (int j = 0; j < 10; ++j) {
          mutex.lock();
          EXPECT_FALSE(is_held);
          is_held = true;
          scheduler.Sleep(milliseconds(100));
          is_held = false;
          mutex.unlock();
        }
        ++done;
      });
    }
    scheduler.Run();
    EXPECT_EQ(done, 5);
    EXPECT_EQ(scheduler.now(), milliseconds(5'000));
    EXPECT_LT(scheduler.turns(), 1'000u);
  }
}

TEST(SchedulerDeathTest, ADeadlockEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        Scheduler scheduler(1);
        SlowMutex mutex;
        scheduler.Spawn("selfish", [&] {
          mutex.lock();
          mutex.lock();
        });
        scheduler.Run();
      },
      testing::ExitedWithCode(1), "a deadlock[^z]*selfish: contends");
}

}  // namespace
}  // namespace dropoutd
