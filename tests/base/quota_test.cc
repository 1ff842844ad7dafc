#include "server/base/quota.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace dropoutd {
namespace {

QuotaTerms Steps(std::size_t most, std::size_t most_of_tenant = kNoTenantLimit) {
  return {.reason = Reason::kQuotaSteps,
          .things = "step records",
          .flag = "max_steps",
          .most = most,
          .most_of_tenant = most_of_tenant};
}

bool Has(const absl::Status& status, const std::string& words) {
  return std::string(status.message()).find(words) != std::string::npos;
}

TEST(QuotaTest, AFullTenantLeavesTheOthersTheirHalf) {
  Quota quota(Steps(10, 5));
  const auto a = quota.Take("a", 5);
  ASSERT_TRUE(a.ok());
  const auto refused = quota.Take("a", 1);
  EXPECT_EQ(ReasonOf(refused.status()), Reason::kQuotaSteps);
  EXPECT_TRUE(quota.Take("b", 5).ok());
}

TEST(QuotaTest, TheTotalLimitsThreeTenants) {
  Quota quota(Steps(10, 5));
  const auto a = quota.Take("a", 5);
  const auto b = quota.Take("b", 4);
  EXPECT_EQ(ReasonOf(quota.Take("c", 2).status()), Reason::kQuotaSteps);
  EXPECT_EQ(quota.held(), 9u);  // What was refused holds nothing,
  EXPECT_EQ(Quota::HeldBy(*quota.Open("c")), 0u);
  EXPECT_TRUE(quota.Take("c", 1).ok());
}

TEST(QuotaTest, AnErrorSaysWhatToDo) {
  QuotaTerms terms = Steps(10, 5);
  terms.remedy = "release steps";
  EXPECT_EQ(QuotaError(terms, QuotaLimit::kTenant, 1, 5).message(),
            "no room for 1 more step records: --tenant_max_steps allows 5, of which you have 5; "
            "release steps");
  EXPECT_EQ(QuotaError(terms, QuotaLimit::kTotal, 1, std::nullopt).message(),
            "no room for 1 more step records: --max_steps allows 10 in all; release steps");
  terms.most_of_tenant = kNoTenantLimit;
  terms.holder = "the layer has";
  const absl::Status of_layer = QuotaError(terms, QuotaLimit::kTenant, 1, 10);
  EXPECT_EQ(of_layer.message(),
            "no room for 1 more step records: --max_steps allows 10, of which the layer has 10; "
            "release steps");
  EXPECT_EQ(ReasonOf(of_layer), Reason::kQuotaSteps);
}

TEST(QuotaTest, ErrorsNameTheFlagAndNoFiguresOfOthers) {
  Quota quota(Steps(1000, 600));
  const auto a = quota.Take("alice", 457);
  const auto b = quota.Take("bob", 123);
  const absl::Status of_tenant = quota.Take("bob", 478).status();
  EXPECT_EQ(of_tenant.message(),
            "no room for 478 more step records: --tenant_max_steps allows 600, of which you have "
            "123");
  const absl::Status of_all = quota.Take("bob", 421).status();
  EXPECT_EQ(of_all.message(),
            "no room for 421 more step records: --max_steps allows 1000 in all, of which you have "
            "123");
  for (const absl::Status& status : {of_tenant, of_all}) {
    EXPECT_FALSE(Has(status, "alice") || Has(status, "457") || Has(status, "580"));
  }
}

TEST(QuotaTest, WithoutATenantLimitTheTotalsFlagIsNamed) {
  Quota quota(Steps(10));
  EXPECT_TRUE(Has(quota.Take("", 11).status(), "--max_steps allows 10"));
  EXPECT_EQ(quota.most_of_tenant(), 10u);
}

TEST(QuotaTest, AmountsThatWouldOverflowAreRefused) {
  Quota quota(Steps(10));
  const auto held = quota.Take("a", 3);
  EXPECT_FALSE(quota.Take("a", std::numeric_limits<std::size_t>::max()).ok());
  EXPECT_FALSE(quota.Take("a", std::numeric_limits<std::size_t>::max() - 2).ok());
  EXPECT_EQ(quota.held(), 3u);
}

TEST(QuotaTest, ChargesGiveBackOnEveryPath) {
  Quota quota(Steps(10));
  const auto fails = [&]() -> absl::Status {
    const auto charge = quota.Take("a", 10);
    if (!charge.ok()) return charge.status();
    return absl::InternalError("later");
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(fails().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(quota.held(), 0u);

  Charge first = *quota.Take("a", 4);
  Charge second = *quota.Take("b", 3);
  first = std::move(second);  // What it had goes.
  EXPECT_EQ(quota.held(), 3u);
  EXPECT_EQ(Quota::HeldBy(*quota.Open("a")), 0u);
  Charge third(std::move(first));
  EXPECT_EQ(quota.held(), 3u);
  third.Refund();
  third.Refund();
  EXPECT_EQ(quota.held(), 0u);
}

TEST(QuotaTest, ChargesAreResizedAllOrNothing) {
  Quota quota(Steps(10, 8));
  Charge charge = *quota.Take("a", 2);
  const auto others = quota.Take("b", 3);
  EXPECT_TRUE(charge.Resize(7).ok());
  EXPECT_EQ(ReasonOf(charge.Resize(8)), Reason::kQuotaSteps);
  EXPECT_EQ(charge.amount(), 7u);
  EXPECT_EQ(quota.held(), 10u);
  EXPECT_TRUE(charge.Resize(1).ok());
  EXPECT_EQ(quota.held(), 4u);
  EXPECT_EQ(Quota::HeldBy(*quota.Open("a")), 1u);
}

TEST(QuotaTest, ChargesOfOneAccountJoinAndPart) {
  Quota quota(Steps(10));
  Charge all;
  for (int i = 0; i < 4; ++i) all.Absorb(*quota.Take("a", 2));
  EXPECT_EQ(all.amount(), 8u);
  all.Absorb(Charge());
  all.GiveBack(3);
  EXPECT_EQ(quota.held(), 5u);
  all.Refund();
  EXPECT_EQ(quota.held(), 0u);
}

TEST(QuotaTest, WhatIsReplacedNeedNotFitBesideTheNew) {
  Quota quota(Steps(10, 8));
  std::optional<Charge> before = *quota.Take("a", 7);
  EXPECT_FALSE(quota.Take("a", 8).ok());
  EXPECT_FALSE(quota.Take("a", 9, 7).ok());
  const auto after = quota.Take("a", 8, 7);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(quota.held(), 15u);
  EXPECT_FALSE(quota.Take("b", 1).ok());
  before.reset();
  EXPECT_EQ(quota.held(), 8u);
  EXPECT_TRUE(quota.Take("b", 1).ok());
}

TEST(QuotaTest, SharedValuesHoldTheirChargeToTheLastOwner) {
  Quota quota(Steps(10));
  auto shared = ShareCharged(std::string("value"), *quota.Take("a", 4));
  auto second = shared;
  EXPECT_EQ(*second, "value");
  shared.reset();
  EXPECT_EQ(quota.held(), 4u);
  second.reset();
  EXPECT_EQ(quota.held(), 0u);
}

TEST(QuotaTest, ChargesMayOutliveTheirQuota) {
  auto quota = std::make_unique<Quota>(Steps(10));
  Charge charge = *quota->Take("a", 4);
  quota.reset();
  charge.GiveBack(1);
  EXPECT_EQ(charge.amount(), 3u);
}

TEST(QuotaTest, SaysWhoHoldsTooMuch) {
  Quota quota(Steps(10, 6));
  const Charge b = quota.TakeAnyway(quota.Open("b"), 4);
  EXPECT_EQ(quota.TenantOverLimit(), std::nullopt);
  std::optional<Charge> a = quota.TakeAnyway(quota.Open("a"), 6);
  EXPECT_EQ(quota.TenantOverLimit(), std::nullopt);
  const Charge c = quota.TakeAnyway(quota.Open("c"), 1);
  EXPECT_EQ(quota.TenantOverLimit(), "a");  // All together hold too much.
  a.reset();
  EXPECT_EQ(quota.TenantOverLimit(), std::nullopt);
  const Charge more = quota.TakeAnyway(quota.Open("b"), 3);
  EXPECT_EQ(quota.TenantOverLimit(), "b");  // By itself.
}

TEST(QuotaTest, AccountsOfTenantsThatHoldNothingGo) {
  Quota quota(Steps(100'000));
  std::vector<Charge> kept;
  for (int i = 0; i < 50; ++i) kept.push_back(*quota.Take("kept" + std::to_string(i), 1));
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(quota.Take(std::to_string(i), 1).ok());
  EXPECT_LE(quota.accounts(), 200u);
  // Those that hold something are still the same.
  EXPECT_EQ(Quota::HeldBy(*quota.Open("kept7")), 1u);
  EXPECT_EQ(quota.held(), 50u);
}

TEST(QuotaTest, ThreadsNeverHoldMoreThanTheLimits) {
  constexpr int kThreads = 4;
  constexpr std::size_t kMost = 20;
  constexpr std::size_t kMostOfTenant = 9;
  Quota quota(Steps(kMost, kMostOfTenant));
  std::atomic<bool> too_much{false};
  std::atomic<std::size_t> granted{0};
  std::vector<std::atomic<std::size_t>> sums(3);
  std::atomic<std::size_t> sum{0};
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 5'000; ++i) {
      const std::size_t tenant = random() % 3;
      const std::size_t amount = random() % 7;
      auto charge = quota.Take(std::string(1, static_cast<char>('a' + tenant)), amount);
      if (!charge.ok()) continue;
      ++granted;
      // Counted by the test itself, for no longer than it is held.
      if ((sums[tenant] += amount) > kMostOfTenant) too_much = true;
      if ((sum += amount) > kMost) too_much = true;
      if (i % 3 == 0) std::this_thread::yield();
      sum -= amount;
      sums[tenant] -= amount;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < kThreads; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(too_much);
  EXPECT_GT(granted, 0u);
  EXPECT_EQ(quota.held(), 0u);
  for (const char* const tenant : {"a", "b", "c"}) {
    EXPECT_EQ(Quota::HeldBy(*quota.Open(tenant)), 0u);
  }
}

}  // namespace
}  // namespace dropoutd
