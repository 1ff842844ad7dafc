#include "server/session/step_book.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/session/short_forms.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMaskBytes = 100;
constexpr std::size_t kMaskCost = kMaskBytes + MaskCache::kEntryOverhead;
constexpr std::size_t kMany = 1000;
constexpr std::uint64_t kLastStep = std::numeric_limits<std::uint64_t>::max();

Limits StepLimits(std::size_t of_layer, std::size_t of_all,
                  std::size_t of_tenant = kNoTenantLimit) {
  Limits limits;
  limits.max_steps_per_layer = of_layer;
  limits.max_steps = of_all;
  limits.tenant_max_steps = of_tenant;
  limits.mask_cache_bytes = 1'000'000;
  return limits;
}

// Budgets, books on them, and short forms.
class Books {
 public:
  explicit Books(const Limits& limits, Holding holding = Holding::kOriginals)
      : budgets(limits, holding) {}

  std::unique_ptr<StepBook> Open(const std::string& tenant = "") {
    return std::make_unique<StepBook>(budgets, budgets.Open(tenant));
  }

  std::size_t held() const { return budgets.steps().held(); }
  std::size_t HeldBy(const std::string& tenant) {
    return Quota::HeldBy(*budgets.Open(tenant)->steps);
  }
  std::size_t mask_bytes() const { return budgets.masks().bytes(); }

  Budgets budgets;
};

StepRecord Record(double p) {
  StepRecord record;
  record.rate = p;
  return record;
}

// As a Forward of a counter-based generator leaves it.
absl::Status AddCached(StepBook& book, const StepKey& key) {
  auto room = book.MakeRoom(key);
  if (!room.ok()) return room.status();
  StepRecord record;
  record.mask = book.NewMask();
  record.mask.Put(MakeBits(kMaskBytes));
  book.Put(key, std::move(record), *std::move(room));
  return absl::OkStatus();
}

// As a Forward of a sequential generator leaves it.
absl::Status AddPinned(StepBook& book, const StepKey& key) {
  auto room = book.MakeRoom(key, kMaskBytes);
  if (!room.ok()) return room.status();
  StepRecord record;
  record.pinned = MakeBits(kMaskBytes);
  book.Put(key, std::move(record), *std::move(room));
  return absl::OkStatus();
}

using Steps = std::vector<std::uint64_t>;

Steps StepsOf(const StepBook& book) {
  Steps steps;
  for (const auto& [key, record] : book.records()) steps.push_back(key.step);
  return steps;
}

TEST(StepBookTest, FindsWhatWasPut) {
  Books books(StepLimits(kMany, kMany));
  const auto book = books.Open();
  EXPECT_EQ(book->Find({3, 0}), nullptr);
  book->Put({3, 0}, Record(0.25), *book->MakeRoom({3, 0}));
  ASSERT_NE(book->Find({3, 0}), nullptr);
  EXPECT_EQ(book->Find({3, 0})->rate.p, 0.25);
  EXPECT_EQ(books.held(), 1u);
}

TEST(StepBookTest, SampleOffsetsOfAStepHaveTheirOwnRecords) {
  Books books(StepLimits(kMany, kMany));
  const auto book = books.Open();
  book->Put({3, 0}, Record(0.25), StepRoom());
  book->Put({3, 32}, Record(0.75), StepRoom());
  EXPECT_EQ(book->Find({3, 0})->rate.p, 0.25);
  EXPECT_EQ(book->Find({3, 32})->rate.p, 0.75);
  EXPECT_EQ(book->Find({3, 16}), nullptr);
  EXPECT_TRUE(book->Release({3, 0}));
  EXPECT_EQ(book->Find({3, 0}), nullptr);
  EXPECT_NE(book->Find({3, 32}), nullptr);
  EXPECT_EQ(books.held(), 1u);
}

TEST(StepBookTest, AReplacedRecordTakesItsMaskAlong) {
  Books books(StepLimits(kMany, kMany));
  const auto book = books.Open();
  ASSERT_TRUE(AddCached(*book, {3, 0}).ok());
  ASSERT_TRUE(AddCached(*book, {3, 0}).ok());
  EXPECT_EQ(books.mask_bytes(), kMaskCost);
  ASSERT_TRUE(AddPinned(*book, {3, 0}).ok());
  EXPECT_EQ(books.mask_bytes(), kMaskCost);
  ASSERT_TRUE(AddPinned(*book, {3, 0}).ok());
  EXPECT_EQ(books.mask_bytes(), kMaskCost);
  book->Put({3, 0}, Record(0.5), StepRoom());
  EXPECT_EQ(books.mask_bytes(), 0u);
  EXPECT_EQ(books.held(), 1u);
}

TEST(StepBookTest, RoomThatIsNotUsedIsGivenBack) {
  Books books(StepLimits(kMany, 1));
  const auto book = books.Open();
  for (int i = 0; i < 3; ++i) {
    const auto room = book->MakeRoom({1, 0}, kMaskBytes);
    ASSERT_TRUE(room.ok()) << i;
    EXPECT_EQ(books.held(), 1u);
    EXPECT_EQ(books.mask_bytes(), kMaskCost);
    EXPECT_EQ(ReasonText(book->MakeRoom({2, 0})), "QUOTA_STEPS");
  }
  EXPECT_EQ(books.held(), 0u);
  EXPECT_EQ(books.mask_bytes(), 0u);
}

TEST(StepBookTest, ARecordThatIsHeldStillGivesBackWhatItCost) {
  Books books(StepLimits(kMany, kMany));
  const auto book = books.Open();
  ASSERT_TRUE(AddPinned(*book, {1, 0}).ok());
  const SharedRecord held = book->Find({1, 0});
  EXPECT_TRUE(book->Release({1, 0}));
  EXPECT_EQ(books.held(), 0u);
  EXPECT_EQ(books.mask_bytes(), 0u);
  EXPECT_EQ(held->pinned->byte_size(), kMaskBytes);
}

TEST(StepBookTest, TheLowestStepMakesRoom) {
  Books books(StepLimits(3, kMany));
  const auto book = books.Open();
  for (const std::uint64_t step : {5, 2, 9}) ASSERT_TRUE(AddCached(*book, {step, 0}).ok());
  EXPECT_TRUE(book->CheckRoom({7, 0}).ok());
  EXPECT_EQ(StepsOf(*book), (Steps{2, 5, 9}));
  ASSERT_TRUE(AddCached(*book, {7, 0}).ok());
  EXPECT_EQ(StepsOf(*book), (Steps{5, 7, 9}));
  EXPECT_EQ(books.held(), 3u);
  EXPECT_EQ(books.mask_bytes(), 3 * kMaskCost);
}

TEST(StepBookTest, StepsOfSequentialGeneratorsAreNotForgotten) {
  Books books(StepLimits(3, kMany));
  const auto book = books.Open();
  ASSERT_TRUE(AddPinned(*book, {1, 0}).ok());
  ASSERT_TRUE(AddCached(*book, {2, 0}).ok());
  ASSERT_TRUE(AddPinned(*book, {3, 0}).ok());
  ASSERT_TRUE(AddCached(*book, {4, 0}).ok());
  EXPECT_EQ(StepsOf(*book), (Steps{1, 3, 4}));
}

TEST(StepBookTest, OnlyPinnedStepsIsAQuota) {
  Books books(StepLimits(2, kMany));
  const auto book = books.Open();
  ASSERT_TRUE(AddPinned(*book, {1, 0}).ok());
  ASSERT_TRUE(AddPinned(*book, {2, 0}).ok());
  EXPECT_EQ(ReasonText(book->CheckRoom({3, 0})), "QUOTA_STEPS");
  EXPECT_EQ(ReasonText(book->MakeRoom({3, 0})), "QUOTA_STEPS");
  EXPECT_EQ(StepsOf(*book), (Steps{1, 2}));
  EXPECT_EQ(books.mask_bytes(), 2 * kMaskCost);
  EXPECT_TRUE(book->MakeRoom({2, 0}).ok());
  book->Release({1, 0});
  EXPECT_TRUE(book->MakeRoom({3, 0}).ok());
}

TEST(StepBookTest, BytesThatDoNotFitCostNoStep) {
  Limits limits = StepLimits(2, kMany);
  limits.mask_cache_bytes = kMaskCost;
  Books books(limits);
  const auto book = books.Open();
  ASSERT_TRUE(AddCached(*book, {1, 0}).ok());
  ASSERT_TRUE(AddPinned(*book, {2, 0}).ok());
  EXPECT_EQ(ReasonText(book->MakeRoom({3, 0}, kMaskBytes)), "QUOTA_MASK_CACHE");
  EXPECT_EQ(StepsOf(*book), (Steps{1, 2}));
  EXPECT_EQ(books.held(), 2u);
}

TEST(StepBookTest, TheFullestBookOfTheTenantMakesRoom) {
  Books books(StepLimits(kMany, 10));
  const auto first = books.Open();
  const auto second = books.Open();
  for (std::uint64_t step = 1; step <= 9; ++step) ASSERT_TRUE(AddCached(*first, {step, 0}).ok());
  for (std::uint64_t step = 1; step <= 3; ++step) ASSERT_TRUE(AddCached(*second, {step, 0}).ok());
  EXPECT_EQ(StepsOf(*first), (Steps{3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(StepsOf(*second), (Steps{1, 2, 3}));
  EXPECT_EQ(books.held(), 10u);
}

TEST(StepBookTest, AFullTenantLosesItsOwnAndLeavesTheOthersTheirHalf) {
  Books books(StepLimits(kMany, 10, 5));
  const auto a = books.Open("a");
  const auto b = books.Open("b");
  for (std::uint64_t step = 1; step <= 9; ++step) ASSERT_TRUE(AddCached(*a, {step, 0}).ok());
  EXPECT_EQ(StepsOf(*a), (Steps{5, 6, 7, 8, 9}));
  for (std::uint64_t step = 1; step <= 5; ++step) ASSERT_TRUE(AddCached(*b, {step, 0}).ok());
  EXPECT_EQ(StepsOf(*b), (Steps{1, 2, 3, 4, 5}));
  EXPECT_EQ(a->size(), 5u);
}

TEST(StepBookTest, ATenantFullOfPinnedStepsIsRefusedAlone) {
  Books books(StepLimits(kMany, 10, 5));
  const auto a = books.Open("a");
  const auto b = books.Open("b");
  for (std::uint64_t step = 1; step <= 5; ++step) ASSERT_TRUE(AddPinned(*a, {step, 0}).ok());
  const absl::Status refused = AddCached(*a, {6, 0});
  EXPECT_EQ(ReasonText(refused), "QUOTA_STEPS");
  EXPECT_NE(std::string(refused.message()).find("--tenant_max_steps allows 5"), std::string::npos);
  for (std::uint64_t step = 1; step <= 5; ++step) ASSERT_TRUE(AddPinned(*b, {step, 0}).ok());
}

TEST(StepBookTest, OfThreeTenantsTheOneThatHoldsMostGivesWay) {
  Books books(StepLimits(kMany, 12, 6));
  const auto a = books.Open("a");
  const auto b = books.Open("b");
  const auto c = books.Open("c");
  for (std::uint64_t step = 1; step <= 5; ++step) ASSERT_TRUE(AddCached(*b, {step, 0}).ok());
  for (std::uint64_t step = 1; step <= 6; ++step) ASSERT_TRUE(AddCached(*a, {step, 0}).ok());
  for (std::uint64_t step = 1; step <= 4; ++step) ASSERT_TRUE(AddCached(*c, {step, 0}).ok());
  EXPECT_EQ(books.held(), 12u);
  EXPECT_EQ(c->size(), 4u);
  EXPECT_EQ(a->size(), 4u);
  EXPECT_EQ(b->size(), 4u);
  // With one more c would hold most.
  ASSERT_TRUE(AddCached(*c, {5, 0}).ok());
  EXPECT_EQ(StepsOf(*c), (Steps{2, 3, 4, 5}));
  EXPECT_EQ(a->size() + b->size(), 8u);
}

TEST(StepBookTest, NobodyGivesWayToATenantThatHoldsMore) {
  Books books(StepLimits(kMany, 8));
  const auto a = books.Open("a");
  const auto b = books.Open("b");
  for (std::uint64_t step = 1; step <= 5; ++step) ASSERT_TRUE(AddPinned(*a, {step, 0}).ok());
  for (std::uint64_t step = 1; step <= 3; ++step) ASSERT_TRUE(AddCached(*b, {step, 0}).ok());
  EXPECT_EQ(ReasonText(a->CheckRoom({6, 0})), "QUOTA_STEPS");
  const absl::Status refused = AddPinned(*a, {6, 0});
  EXPECT_EQ(ReasonText(refused), "QUOTA_STEPS");
  EXPECT_NE(std::string(refused.message()).find("--max_steps allows 8"), std::string::npos);
  EXPECT_EQ(b->size(), 3u);
  EXPECT_EQ(books.mask_bytes(), 8 * kMaskCost);
}

TEST(StepBookTest, CopiesAreForgottenAndNeverRefused) {
  Books books(StepLimits(3, 5, 4), Holding::kCopies);
  const auto a = books.Open("a");
  const auto b = books.Open("b");
  for (std::uint64_t step = 1; step <= 9; ++step) ASSERT_TRUE(AddPinned(*a, {step, 0}).ok());
  EXPECT_EQ(StepsOf(*a), (Steps{7, 8, 9}));
  const auto second = books.Open("a");
  for (std::uint64_t step = 1; step <= 9; ++step) ASSERT_TRUE(AddPinned(*second, {step, 0}).ok());
  EXPECT_EQ(books.HeldBy("a"), 4u);
  for (std::uint64_t step = 1; step <= 9; ++step) ASSERT_TRUE(AddPinned(*b, {step, 0}).ok());
  EXPECT_EQ(books.held(), 5u);
  EXPECT_EQ(books.HeldBy("b"), 3u);
  EXPECT_EQ(books.mask_bytes(), 0u);  // Nothing is pinned.
}

TEST(StepBookTest, CopiesAreNotRefusedForAForgottenRoom) {
  Books books(StepLimits(kMany, 1), Holding::kCopies);
  const auto book = books.Open();
  const auto room = book->MakeRoom({1, 0});
  ASSERT_TRUE(room.ok());
  EXPECT_TRUE(book->CheckRoom({2, 0}).ok());
  EXPECT_TRUE(AddCached(*book, {2, 0}).ok());
}

TEST(StepBookTest, ReleaseSaysWhetherThereWasARecord) {
  Books books(StepLimits(kMany, kMany));
  const auto book = books.Open();
  ASSERT_TRUE(AddCached(*book, {1, 0}).ok());
  EXPECT_FALSE(book->Release({1, 1}));
  EXPECT_TRUE(book->Release({1, 0}));
  EXPECT_FALSE(book->Release({1, 0}));
  EXPECT_EQ(books.held(), 0u);
  EXPECT_EQ(books.mask_bytes(), 0u);
}

TEST(StepBookTest, ReleaseThroughForgetsUpToAndIncluding) {
  Books books(StepLimits(kMany, kMany));
  const auto book = books.Open();
  for (std::uint64_t step = 0; step < 10; ++step) {
    ASSERT_TRUE(AddCached(*book, {step, 0}).ok());
    ASSERT_TRUE(AddPinned(*book, {step, 8}).ok());
  }
  EXPECT_EQ(book->ReleaseThrough(3), 8u);
  EXPECT_EQ(StepsOf(*book), (Steps{4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9}));
  EXPECT_EQ(book->Find({3, 8}), nullptr);
  EXPECT_EQ(books.mask_bytes(), 12 * kMaskCost);
  EXPECT_EQ(book->ReleaseThrough(3), 0u);
  EXPECT_EQ(books.held(), 12u);
}

TEST(StepBookTest, ReleaseThroughTheLastStepThereIs) {
  Books books(StepLimits(kMany, kMany));
  const auto book = books.Open();
  ASSERT_TRUE(AddCached(*book, {0, std::numeric_limits<std::int64_t>::max()}).ok());
  ASSERT_TRUE(AddCached(*book, {kLastStep, 0}).ok());
  EXPECT_EQ(book->ReleaseThrough(kLastStep - 1), 1u);
  EXPECT_EQ(book->ReleaseThrough(kLastStep), 1u);
  EXPECT_EQ(books.mask_bytes(), 0u);
}

TEST(StepBookTest, BooksLeaveNothingBehind) {
  Books books(StepLimits(kMany, kMany));
  {
    std::vector<std::unique_ptr<StepBook>> all;
    for (int i = 0; i < 5; ++i) {
      all.push_back(books.Open());
      for (std::uint64_t step = 0; step < 10; ++step) {
        ASSERT_TRUE(AddCached(*all.back(), {step, 0}).ok());
        ASSERT_TRUE(AddPinned(*all.back(), {step, 1}).ok());
      }
    }
    EXPECT_EQ(books.held(), 100u);
    EXPECT_EQ(books.mask_bytes(), 100 * kMaskCost);
    all.front()->Clear();
    EXPECT_EQ(books.held(), 80u);
    EXPECT_EQ(books.mask_bytes(), 80 * kMaskCost);
  }
  EXPECT_EQ(books.held(), 0u);
  EXPECT_EQ(books.mask_bytes(), 0u);
  EXPECT_TRUE(books.budgets.Open("")->books.empty());
}

// Books of three tenants come, are filled, made to forget by each other, and go, all at once.
TEST(StepBookTest, ThreadsKeepToTheLimits) {
  constexpr int kThreads = 6;
  constexpr std::size_t kMost = 60;
  constexpr std::size_t kMostOfTenant = 30;
  const int operations = kSanitized ? 2'000 : 20'000;
  Books books(StepLimits(25, kMost, kMostOfTenant));
  std::vector<std::unique_ptr<StepBook>> shared;
  for (const char* const tenant : {"a", "b", "c"}) shared.push_back(books.Open(tenant));
  std::atomic<int> working{kThreads};
  std::atomic<int> refused{0};
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    std::unique_ptr<StepBook> own;
    for (int i = 0; i < operations; ++i) {
      if (i % 50 == 0) own = books.Open(std::string(1, static_cast<char>('a' + random() % 3)));
      StepBook& book = random() % 2 == 0 ? *own : *shared[random() % 3];
      const StepKey key{random() % 100, 0};
      switch (random() % 6) {
        case 0:
          book.Release(key);
          break;
        case 1:
          if (const SharedRecord record = book.Find(key)) record->mask.Get();
          break;
        case 2:
          if (random() % 50 == 0) book.ReleaseThrough(key.step);
          break;
        default:
          if (!AddCached(book, key).ok()) ++refused;
      }
    }
    own.reset();
    --working;
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < kThreads; ++seed) threads.emplace_back(work, seed);
  std::size_t most = 0;
  std::size_t most_of_tenant = 0;
  while (working > 0) {
    most = std::max(most, books.held());
    for (const char* const tenant : {"a", "b", "c"}) {
      most_of_tenant = std::max(most_of_tenant, books.HeldBy(tenant));
    }
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 0);
  // A record that is put again while it is forgotten is counted when it is there: one a thread.
  EXPECT_LE(most, kMost + kThreads);
  EXPECT_LE(most_of_tenant, kMostOfTenant + kThreads);
  EXPECT_GT(most, kMostOfTenant);
  std::size_t left = 0;
  for (const auto& book : shared) left += book->size();
  EXPECT_EQ(books.held(), left);
  EXPECT_EQ(books.mask_bytes(), left * kMaskCost);
  shared.clear();
  EXPECT_EQ(books.held(), 0u);
  EXPECT_EQ(books.mask_bytes(), 0u);
}

}  // namespace
}  // namespace dropoutd
