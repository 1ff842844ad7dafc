#include "server/base/running_work.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <latch>
#include <thread>

namespace dropoutd {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::hours kNever{1};

// Returns when the clock has passed so long.
void Spin(std::chrono::nanoseconds time) {
  const auto end = steady_clock::now() + time;
  while (steady_clock::now() < end) std::this_thread::yield();
}

TEST(RunningWorkTest, WorkWithoutACheckpointIsStuck) {
  EXPECT_EQ(CountStuckWork(milliseconds(0)), 0u);  // This thread does not work.
  const RunningWork work;
  Spin(milliseconds(2));
  EXPECT_EQ(CountStuckWork(milliseconds(1)), 1u);
  EXPECT_EQ(CountStuckWork(kNever), 0u);
}

TEST(RunningWorkTest, ACheckpointClearsIt) {
  const RunningWork work;
  Spin(milliseconds(2));
  const auto before = steady_clock::now();
  Checkpoint();
  EXPECT_EQ(CountStuckWork(steady_clock::now() - before), 0u);
  Spin(milliseconds(2));
  EXPECT_EQ(CountStuckWork(milliseconds(1)), 1u);
}

TEST(RunningWorkTest, WhatHasEndedIsNotStuck) {
  { const RunningWork work; }
  Spin(milliseconds(2));
  EXPECT_EQ(CountStuckWork(milliseconds(1)), 0u);
  Checkpoint();  // Of no work.
  Spin(milliseconds(2));
  EXPECT_EQ(CountStuckWork(milliseconds(1)), 0u);
}

TEST(RunningWorkTest, WorkInsideWorkIsTheSameWork) {
  const RunningWork outer;
  { const RunningWork inner; }
  Spin(milliseconds(2));
  EXPECT_EQ(CountStuckWork(milliseconds(1)), 1u);
}

TEST(RunningWorkTest, EachThreadCounts) {
  constexpr std::ptrdiff_t kThreads = 3;
  std::latch begun(kThreads);
  std::latch counted(1);
  const auto work = [&] {
    const RunningWork running;
    begun.count_down();
    counted.wait();
  };
  std::thread threads[kThreads];
  for (std::thread& each : threads) each = std::thread(work);
  begun.wait();
  Spin(milliseconds(2));
  EXPECT_EQ(CountStuckWork(milliseconds(1)), std::size_t{kThreads});
  counted.count_down();
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(CountStuckWork(milliseconds(0)), 0u);
}

TEST(RunningWorkTest, AMeterPassesCheckpoints) {
  const RunningWork work;
  WorkMeter meter;
  Spin(milliseconds(2));
  meter.Add(1);
  EXPECT_EQ(CountStuckWork(milliseconds(1)), 1u);
  const auto before = steady_clock::now();
  meter.Add(1 << 16);
  EXPECT_EQ(CountStuckWork(steady_clock::now() - before), 0u);
  Spin(milliseconds(2));
  const auto records = steady_clock::now();
  for (int i = 0; i < 1024; ++i) meter.AddRecord();
  EXPECT_EQ(CountStuckWork(steady_clock::now() - records), 0u);
}

}  // namespace
}  // namespace dropoutd
