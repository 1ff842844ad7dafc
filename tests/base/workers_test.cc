#include "server/base/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace dropoutd {
namespace {

TEST(WorkersTest, EveryPartRunsOnce) {
  for (const std::size_t threads : {0, 1, 3}) {
    Workers workers(threads);
    EXPECT_EQ(workers.width(), threads + 1);
    for (const std::size_t count : {0, 1, 2, 7, 100}) {
      std::vector<std::atomic<int>> runs(count);
      workers.Run(count, [&](std::size_t i) { ++runs[i]; });
      for (const auto& each : runs) EXPECT_EQ(each, 1);
    }
  }
}

TEST(WorkersTest, CallersShareTheThreads) {
  Workers workers(2);
  std::atomic<int> runs{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) workers.Run(3, [&](std::size_t) { ++runs; });
    });
  }
  for (std::thread& each : callers) each.join();
  EXPECT_EQ(runs, 4 * 200 * 3);
}

// Two parts that wait for each other end only if both are at work.
TEST(WorkersTest, PartsRunAtOnce) {
  Workers workers(1);
  std::atomic<int> here{0};
  workers.Run(2, [&](std::size_t) {
    ++here;
    here.notify_all();
    for (int n = here; n != 2; n = here) here.wait(n);
  });
  EXPECT_EQ(here, 2);
}

}  // namespace
}  // namespace dropoutd
