#include "server/main/admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "server/base/error.h"

namespace dropoutd {
namespace {

Reason ReasonFor(const absl::Status& status) {
  EXPECT_FALSE(status.ok());
  return ReasonOf(status).value();
}

TEST(Admission, AdmitsUpToTheMostBytes) {
  Admission admission(100);
  EXPECT_TRUE(admission.Enter(60).ok());
  EXPECT_TRUE(admission.Enter(40).ok());
  EXPECT_TRUE(admission.Enter(0).ok());
  const absl::Status status = admission.Enter(1);
  EXPECT_EQ(ReasonFor(status), Reason::kQuotaBytesInFlight);
  EXPECT_NE(std::string(status.message()).find("hold 100 bytes"), std::string::npos) << status;
  // What was refused holds nothing.
  admission.Leave(40);
  EXPECT_TRUE(admission.Enter(40).ok());
}

TEST(Admission, OneCallOverTheMostIsRefused) {
  Admission admission(100);
  EXPECT_EQ(ReasonFor(admission.Enter(101)), Reason::kQuotaBytesInFlight);
  EXPECT_TRUE(admission.Enter(100).ok());
}

TEST(Admission, DrainingRefusesNewCallsAndLetsGoThoseInside) {
  Admission admission(100);
  ASSERT_TRUE(admission.Enter(10).ok());
  admission.Drain();
  EXPECT_EQ(ReasonFor(admission.Enter(0)), Reason::kDraining);
  EXPECT_EQ(ReasonFor(admission.Enter(1000)), Reason::kDraining);
  admission.Leave(10);
  EXPECT_EQ(ReasonFor(admission.Enter(1)), Reason::kDraining);
}

TEST(Admission, ManyThreadsNeverHoldMoreThanTheMost) {
  constexpr std::size_t kMost = 100;
  constexpr std::size_t kEach = 30;
  Admission admission(kMost);
  std::atomic<std::size_t> inside{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 2000; ++call) {
        if (!admission.Enter(kEach).ok()) continue;
        if (inside.fetch_add(kEach) + kEach > kMost) exceeded = true;
        inside.fetch_sub(kEach);
        admission.Leave(kEach);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_TRUE(admission.Enter(kMost).ok());
}

}  // namespace
}  // namespace dropoutd
