#include "server/session/step_book.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <vector>

#include "tests/session/support.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMaskBytes = 100;
constexpr std::size_t kMaskCost = kMaskBytes + MaskCache::kEntryOverhead;
constexpr std::size_t kMany = 1000;
constexpr std::uint64_t kLastStep = std::numeric_limits<std::uint64_t>::max();

// Books on a common cache and budget.
class StepBookTest : public testing::Test {
 protected:
  static StepRecord Record(double p) {
    StepRecord record;
    record.rate = p;
    return record;
  }

  // As a Forward of a counter-based generator leaves it.
  absl::Status AddCached(StepBook& book, const StepKey& key) {
    const absl::Status room = book.MakeRoom(key);
    if (!room.ok()) return room;
    StepRecord record;
    record.mask_id = cache_.NewId();
    const CacheId id = record.mask_id;
    book.Put(key, record);
    cache_.Put(id, MakeBits(kMaskBytes));
    return room;
  }

  // As a Forward of a sequential generator leaves it.
  absl::Status AddPinned(StepBook& book, const StepKey& key) {
    const absl::Status room = book.MakeRoom(key);
    if (!room.ok()) return room;
    StepRecord record;
    record.pinned = MakeBits(kMaskBytes);
    EXPECT_TRUE(cache_.Reserve(kMaskBytes).ok());
    book.Put(key, record);
    return room;
  }

  static std::vector<std::uint64_t> StepsOf(const StepBook& book, std::uint64_t end) {
    std::vector<std::uint64_t> steps;
    for (std::uint64_t step = 0; step < end; ++step) {
      if (book.Find({step, 0}) != nullptr) steps.push_back(step);
    }
    return steps;
  }

  using Steps = std::vector<std::uint64_t>;

  MaskCache cache_{100'000};
};

TEST_F(StepBookTest, FindsWhatWasPut) {
  StepBudget budget(cache_, kMany, kMany);
  StepBook book(budget);
  EXPECT_EQ(book.Find({3, 0}), nullptr);
  book.Put({3, 0}, Record(0.25));
  ASSERT_NE(book.Find({3, 0}), nullptr);
  EXPECT_EQ(book.Find({3, 0})->rate.p, 0.25);
  EXPECT_EQ(budget.total, 1u);
}

TEST_F(StepBookTest, SampleOffsetsOfAStepHaveTheirOwnRecords) {
  StepBudget budget(cache_, kMany, kMany);
  StepBook book(budget);
  book.Put({3, 0}, Record(0.25));
  book.Put({3, 32}, Record(0.75));
  EXPECT_EQ(book.Find({3, 0})->rate.p, 0.25);
  EXPECT_EQ(book.Find({3, 32})->rate.p, 0.75);
  EXPECT_EQ(book.Find({3, 16}), nullptr);
  EXPECT_TRUE(book.Release({3, 0}));
  EXPECT_EQ(book.Find({3, 0}), nullptr);
  EXPECT_NE(book.Find({3, 32}), nullptr);
}

TEST_F(StepBookTest, AReplacedRecordTakesItsMaskAlong) {
  StepBudget budget(cache_, kMany, kMany);
  StepBook book(budget);
  ASSERT_TRUE(AddCached(book, {3, 0}).ok());
  const CacheId first = book.Find({3, 0})->mask_id;
  ASSERT_TRUE(AddCached(book, {3, 0}).ok());
  EXPECT_EQ(cache_.Get(first), nullptr);
  EXPECT_EQ(cache_.bytes(), kMaskCost);
  ASSERT_TRUE(AddPinned(book, {3, 0}).ok());
  EXPECT_EQ(cache_.bytes(), kMaskCost);
  ASSERT_TRUE(AddPinned(book, {3, 0}).ok());
  EXPECT_EQ(cache_.bytes(), kMaskCost);
  book.Put({3, 0}, Record(0.5));
  EXPECT_EQ(cache_.bytes(), 0u);
  EXPECT_EQ(budget.total, 1u);
}

TEST_F(StepBookTest, TheLowestStepMakesRoom) {
  StepBudget budget(cache_, 3, kMany);
  StepBook book(budget);
  for (const std::uint64_t step : {5, 2, 9}) ASSERT_TRUE(AddCached(book, {step, 0}).ok());
  ASSERT_TRUE(AddCached(book, {7, 0}).ok());
  EXPECT_EQ(StepsOf(book, 20), (Steps{5, 7, 9}));
  EXPECT_EQ(budget.total, 3u);
  EXPECT_EQ(cache_.bytes(), 3 * kMaskCost);
  // Also for a step that is lower than all.
  ASSERT_TRUE(AddCached(book, {1, 0}).ok());
  EXPECT_EQ(StepsOf(book, 20), (Steps{1, 7, 9}));
}

TEST_F(StepBookTest, ARecordThatIsThereNeedsNoRoom) {
  StepBudget budget(cache_, 2, kMany);
  StepBook book(budget);
  ASSERT_TRUE(AddCached(book, {1, 0}).ok());
  ASSERT_TRUE(AddCached(book, {2, 0}).ok());
  ASSERT_TRUE(AddCached(book, {2, 0}).ok());
  EXPECT_EQ(StepsOf(book, 20), (Steps{1, 2}));
}

TEST_F(StepBookTest, PinnedStepsStay) {
  StepBudget budget(cache_, 3, kMany);
  StepBook book(budget);
  ASSERT_TRUE(AddPinned(book, {1, 0}).ok());
  ASSERT_TRUE(AddCached(book, {2, 0}).ok());
  ASSERT_TRUE(AddPinned(book, {3, 0}).ok());
  ASSERT_TRUE(AddPinned(book, {4, 0}).ok());
  EXPECT_EQ(StepsOf(book, 20), (Steps{1, 3, 4}));
}

TEST_F(StepBookTest, OnlyPinnedStepsIsAQuota) {
  StepBudget budget(cache_, 2, kMany);
  StepBook book(budget);
  ASSERT_TRUE(AddPinned(book, {1, 0}).ok());
  ASSERT_TRUE(AddPinned(book, {2, 0}).ok());
  EXPECT_EQ(ReasonText(book.MakeRoom({3, 0})), "QUOTA_STEPS");
  EXPECT_EQ(StepsOf(book, 20), (Steps{1, 2}));
  EXPECT_EQ(cache_.bytes(), 2 * kMaskCost);
  EXPECT_TRUE(book.MakeRoom({2, 0}).ok());
  book.Release({1, 0});
  EXPECT_TRUE(book.MakeRoom({3, 0}).ok());
}

TEST_F(StepBookTest, TheTotalIsSharedByAllBooks) {
  StepBudget budget(cache_, kMany, 3);
  StepBook first(budget);
  StepBook second(budget);
  ASSERT_TRUE(AddCached(first, {1, 0}).ok());
  ASSERT_TRUE(AddCached(first, {2, 0}).ok());
  ASSERT_TRUE(AddCached(second, {1, 0}).ok());
  // Each makes room in its own book only.
  ASSERT_TRUE(AddCached(second, {2, 0}).ok());
  EXPECT_EQ(StepsOf(first, 20), (Steps{1, 2}));
  EXPECT_EQ(StepsOf(second, 20), Steps{2});
  StepBook third(budget);
  EXPECT_EQ(ReasonText(third.MakeRoom({1, 0})), "QUOTA_STEPS");
  EXPECT_EQ(budget.total, 3u);
}

TEST_F(StepBookTest, ReleaseSaysWhetherThereWasARecord) {
  StepBudget budget(cache_, kMany, kMany);
  StepBook book(budget);
  ASSERT_TRUE(AddCached(book, {1, 0}).ok());
  EXPECT_FALSE(book.Release({1, 1}));
  EXPECT_TRUE(book.Release({1, 0}));
  EXPECT_FALSE(book.Release({1, 0}));
  EXPECT_EQ(budget.total, 0u);
  EXPECT_EQ(cache_.bytes(), 0u);
}

TEST_F(StepBookTest, ReleaseThroughForgetsUpToAndIncluding) {
  StepBudget budget(cache_, kMany, kMany);
  StepBook book(budget);
  for (std::uint64_t step = 0; step < 10; ++step) {
    ASSERT_TRUE(AddCached(book, {step, 0}).ok());
    ASSERT_TRUE(AddPinned(book, {step, 8}).ok());
  }
  EXPECT_EQ(book.ReleaseThrough(3), 8u);
  EXPECT_EQ(StepsOf(book, 20), (Steps{4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(book.Find({3, 8}), nullptr);
  EXPECT_EQ(cache_.bytes(), 12 * kMaskCost);
  EXPECT_EQ(book.ReleaseThrough(3), 0u);
  EXPECT_EQ(budget.total, 12u);
}

TEST_F(StepBookTest, ReleaseThroughTheLastStepThereIs) {
  StepBudget budget(cache_, kMany, kMany);
  StepBook book(budget);
  ASSERT_TRUE(AddCached(book, {0, std::numeric_limits<std::int64_t>::max()}).ok());
  ASSERT_TRUE(AddCached(book, {kLastStep, 0}).ok());
  EXPECT_EQ(book.ReleaseThrough(kLastStep - 1), 1u);
  EXPECT_EQ(book.ReleaseThrough(kLastStep), 1u);
  EXPECT_EQ(cache_.bytes(), 0u);
}

TEST_F(StepBookTest, BooksLeaveNothingBehind) {
  StepBudget budget(cache_, kMany, kMany);
  {
    std::vector<std::unique_ptr<StepBook>> books;
    for (int i = 0; i < 5; ++i) {
      books.push_back(std::make_unique<StepBook>(budget));
      for (std::uint64_t step = 0; step < 10; ++step) {
        ASSERT_TRUE(AddCached(*books.back(), {step, 0}).ok());
        ASSERT_TRUE(AddPinned(*books.back(), {step, 1}).ok());
      }
    }
    EXPECT_EQ(budget.total, 100u);
    EXPECT_EQ(cache_.bytes(), 100 * kMaskCost);
    books.front()->Clear();
    EXPECT_EQ(budget.total, 80u);
    EXPECT_EQ(cache_.bytes(), 80 * kMaskCost);
  }
  EXPECT_EQ(budget.total, 0u);
  EXPECT_EQ(cache_.bytes(), 0u);
}

}  // namespace
}  // namespace dropoutd
