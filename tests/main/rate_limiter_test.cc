#include "server/main/gate/rate_limiter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace dropoutd {
namespace {

using std::chrono::milliseconds;

const RateLimiter::Time kStart{std::chrono::hours(1)};

int Allowed(RateLimiter& limiter, RateLimiter::Time now, int tries) {
  int count = 0;
  for (int i = 0; i < tries; ++i) count += limiter.Allow(now);
  return count;
}

TEST(RateLimiterTest, ASecondsWorthAtOnceAndThenAtTheRate) {
  RateLimiter limiter(100);
  EXPECT_EQ(Allowed(limiter, kStart, 1000), 100);
  EXPECT_EQ(Allowed(limiter, kStart + milliseconds(5), 10), 0);
  EXPECT_EQ(Allowed(limiter, kStart + milliseconds(10), 10), 1);
  EXPECT_EQ(Allowed(limiter, kStart + milliseconds(510), 1000), 50);
}

TEST(RateLimiterTest, IdleTimeDoesNotAddUp) {
  RateLimiter limiter(10);
  EXPECT_EQ(Allowed(limiter, kStart + std::chrono::hours(1), 1000), 10);
}

TEST(RateLimiterTest, ZeroIsNoLimit) {
  RateLimiter limiter(0);
  EXPECT_EQ(Allowed(limiter, kStart, 100'000), 100'000);
}

TEST(RateLimiterTest, ThreadsShareTheRate) {
  RateLimiter limiter(1000);
  std::atomic<int> allowed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { allowed += Allowed(limiter, kStart, 2000); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allowed, 1000);
}

}  // namespace
}  // namespace dropoutd
