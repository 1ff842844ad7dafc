#include "server/session/mask_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <list>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "tests/session/support.h"

namespace dropoutd {
namespace {

constexpr std::size_t kOverhead = MaskCache::kEntryOverhead;

// A budget for `count` masks of `byte_size` bytes.
constexpr std::size_t BudgetFor(std::size_t count, std::size_t byte_size) {
  return count * (byte_size + kOverhead);
}

// Which of `ids` are there. Touches them in that order.
std::vector<CacheId> Present(MaskCache& cache, const std::vector<CacheId>& ids) {
  std::vector<CacheId> present;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(present),
               [&](CacheId id) { return cache.Get(id) != nullptr; });
  return present;
}

TEST(MaskCacheTest, NewIdsAreDistinctAndNameSomething) {
  MaskCache cache(0);
  const CacheId first = cache.NewId();
  const CacheId second = cache.NewId();
  EXPECT_NE(first, 0u);
  EXPECT_NE(second, 0u);
  EXPECT_NE(first, second);
}

TEST(MaskCacheTest, GivesBackWhatWasPut) {
  MaskCache cache(BudgetFor(2, 100));
  const auto bits = MakeBits(100);
  cache.Put(7, bits);
  EXPECT_EQ(cache.Get(7), bits);
  EXPECT_EQ(cache.Get(8), nullptr);
  EXPECT_EQ(cache.bytes(), 100 + kOverhead);
}

TEST(MaskCacheTest, ErasedMasksAreGone) {
  MaskCache cache(BudgetFor(2, 100));
  cache.Put(1, MakeBits(100));
  cache.Put(2, MakeBits(100));
  cache.Erase(1);
  cache.Erase(1);
  cache.Erase(3);
  EXPECT_EQ(Present(cache, {1, 2}), std::vector<CacheId>{2});
  EXPECT_EQ(cache.bytes(), 100 + kOverhead);
  cache.Erase(2);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(MaskCacheTest, LeastRecentlyUsedGoesFirst) {
  MaskCache cache(BudgetFor(3, 100));
  for (const CacheId id : {1, 2, 3}) cache.Put(id, MakeBits(100));
  EXPECT_NE(cache.Get(1), nullptr);  // From oldest to newest: 2 3 1.
  cache.Put(4, MakeBits(100));       // 3 1 4.
  EXPECT_EQ(Present(cache, {2}), std::vector<CacheId>{});
  cache.Put(3, MakeBits(100));  // 1 4 3.
  cache.Put(5, MakeBits(100));  // 4 3 5.
  EXPECT_EQ(Present(cache, {1, 4, 3, 5}), (std::vector<CacheId>{4, 3, 5}));
}

TEST(MaskCacheTest, ALargeMaskEvictsSeveralSmallOnes) {
  MaskCache cache(BudgetFor(4, 100));
  for (const CacheId id : {1, 2, 3, 4}) cache.Put(id, MakeBits(100));
  cache.Put(5, MakeBits(100 + 2 * (100 + kOverhead)));
  EXPECT_EQ(Present(cache, {1, 2, 3, 4, 5}), (std::vector<CacheId>{4, 5}));
  EXPECT_EQ(cache.bytes(), cache.budget());
}

TEST(MaskCacheTest, TinyMasksCountTheirOverhead) {
  constexpr std::size_t kFit = 10;
  MaskCache cache(BudgetFor(kFit, 1));
  for (CacheId id = 1; id <= 1000; ++id) {
    cache.Put(id, MakeBits(1));
    ASSERT_LE(cache.bytes(), cache.budget());
  }
  std::size_t present = 0;
  for (CacheId id = 1; id <= 1000; ++id) present += cache.Get(id) != nullptr ? 1 : 0;
  EXPECT_EQ(present, kFit);
}

TEST(MaskCacheTest, AMaskOfTheWholeBudgetFits) {
  MaskCache cache(1000);
  cache.Put(1, MakeBits(1000 - kOverhead));
  EXPECT_NE(cache.Get(1), nullptr);
  EXPECT_EQ(cache.bytes(), 1000u);
}

TEST(MaskCacheTest, ATooLargeMaskIsNotKeptAndEvictsNothing) {
  MaskCache cache(1000);
  cache.Put(1, MakeBits(100));
  cache.Put(2, MakeBits(1001 - kOverhead));
  EXPECT_EQ(Present(cache, {1, 2}), std::vector<CacheId>{1});
}

TEST(MaskCacheTest, PutReplaces) {
  MaskCache cache(1000);
  cache.Put(1, MakeBits(100));
  const auto larger = MakeBits(300);
  cache.Put(1, larger);
  EXPECT_EQ(cache.Get(1), larger);
  EXPECT_EQ(cache.bytes(), 300 + kOverhead);
}

TEST(MaskCacheTest, ReplacingByATooLargeMaskLeavesNone) {
  MaskCache cache(1000);
  cache.Put(1, MakeBits(100));
  cache.Put(1, MakeBits(2000));
  EXPECT_EQ(cache.Get(1), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(MaskCacheTest, ReserveEvictsAndUnreserveGivesBack) {
  MaskCache cache(BudgetFor(2, 100));
  cache.Put(1, MakeBits(100));
  cache.Put(2, MakeBits(100));
  ASSERT_TRUE(cache.Reserve(100).ok());
  EXPECT_EQ(Present(cache, {1, 2}), std::vector<CacheId>{2});
  EXPECT_EQ(cache.bytes(), cache.budget());
  cache.Unreserve(100);
  EXPECT_EQ(cache.bytes(), 100 + kOverhead);
  cache.Put(1, MakeBits(100));
  EXPECT_EQ(Present(cache, {1, 2}), (std::vector<CacheId>{1, 2}));
}

TEST(MaskCacheTest, MasksNeverTakeWhatIsReserved) {
  MaskCache cache(BudgetFor(2, 100));
  ASSERT_TRUE(cache.Reserve(100).ok());
  cache.Put(1, MakeBits(100));
  cache.Put(2, MakeBits(101));
  EXPECT_EQ(Present(cache, {1, 2}), std::vector<CacheId>{1});
  cache.Put(3, MakeBits(100));
  EXPECT_EQ(Present(cache, {1, 3}), std::vector<CacheId>{3});
  EXPECT_EQ(cache.bytes(), cache.budget());
}

TEST(MaskCacheTest, AReservationThatDoesNotFitChangesNothing) {
  MaskCache cache(BudgetFor(3, 100));
  ASSERT_TRUE(cache.Reserve(100).ok());
  cache.Put(1, MakeBits(100));
  cache.Put(2, MakeBits(100));
  EXPECT_EQ(ReasonText(cache.Reserve(101 + 100 + kOverhead)), "QUOTA_MASK_CACHE");
  EXPECT_EQ(Present(cache, {1, 2}), (std::vector<CacheId>{1, 2}));
  EXPECT_EQ(cache.bytes(), cache.budget());
}

TEST(MaskCacheTest, ABudgetOfZeroKeepsNothing) {
  MaskCache cache(0);
  cache.Put(1, MakeBits(0));
  EXPECT_EQ(cache.Get(1), nullptr);
  EXPECT_EQ(ReasonText(cache.Reserve(0)), "QUOTA_MASK_CACHE");
  EXPECT_EQ(cache.bytes(), 0u);
}

// The cache as a list, the most recently used first, searched from end to end.
class CacheModel {
 public:
  explicit CacheModel(std::size_t budget) : budget_(budget) {}

  void Put(CacheId id, std::size_t size) {
    Erase(id);
    if (size + kOverhead > budget_ - Reserved()) return;
    EvictFor(size);
    entries_.emplace_front(id, size);
  }

  bool Get(CacheId id) {
    const auto found = Find(id);
    if (found == entries_.end()) return false;
    entries_.splice(entries_.begin(), entries_, found);
    return true;
  }

  void Erase(CacheId id) {
    if (const auto found = Find(id); found != entries_.end()) entries_.erase(found);
  }

  bool Reserve(std::size_t size) {
    if (size + kOverhead > budget_ - Reserved()) return false;
    EvictFor(size);
    reservations_.push_back(size);
    return true;
  }

  // Takes back some reservation and returns its size, or nothing if there is none.
  std::optional<std::size_t> TakeReservation() {
    if (reservations_.empty()) return std::nullopt;
    const std::size_t size = reservations_.back();
    reservations_.pop_back();
    return size;
  }

  std::size_t bytes() const {
    std::size_t sum = Reserved();
    for (const auto& [id, size] : entries_) sum += size + kOverhead;
    return sum;
  }

 private:
  using Entries = std::list<std::pair<CacheId, std::size_t>>;

  Entries::iterator Find(CacheId id) {
    return std::find_if(entries_.begin(), entries_.end(),
                        [&](const auto& entry) { return entry.first == id; });
  }

  std::size_t Reserved() const {
    std::size_t sum = 0;
    for (const std::size_t size : reservations_) sum += size + kOverhead;
    return sum;
  }

  void EvictFor(std::size_t size) {
    while (bytes() + size + kOverhead > budget_) entries_.pop_back();
  }

  const std::size_t budget_;
  Entries entries_;
  std::vector<std::size_t> reservations_;
};

TEST(MaskCacheTest, AgreesWithAModelAfterEveryOperation) {
  constexpr std::size_t kBudget = 8000;
  constexpr CacheId kIds = 30;
  MaskCache cache(kBudget);
  CacheModel model(kBudget);
  std::mt19937 random(20140615);
  const auto below = [&](unsigned end) { return random() % end; };
  for (int operation = 0; operation < 20'000; ++operation) {
    const CacheId id = 1 + below(kIds);
    // Now and then larger than the budget.
    const std::size_t size = below(20) == 0 ? below(2 * kBudget) : below(1500);
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        cache.Put(id, MakeBits(size));
        model.Put(id, size);
        break;
      case 3:
      case 4:
        ASSERT_EQ(cache.Get(id) != nullptr, model.Get(id)) << "operation " << operation;
        break;
      case 5:
        cache.Erase(id);
        model.Erase(id);
        break;
      case 6:
        ASSERT_EQ(cache.Reserve(size).ok(), model.Reserve(size)) << "operation " << operation;
        break;
      case 7:
        if (const auto reserved = model.TakeReservation()) cache.Unreserve(*reserved);
        break;
    }
    ASSERT_EQ(cache.bytes(), model.bytes()) << "operation " << operation;
    ASSERT_LE(cache.bytes(), kBudget) << "operation " << operation;
  }
  for (CacheId id = 1; id <= kIds; ++id) EXPECT_EQ(cache.Get(id) != nullptr, model.Get(id)) << id;
}

TEST(MaskCacheTest, StaysWithinTheBudgetUnderManyThreads) {
  constexpr std::size_t kBudget = 20'000;
  constexpr CacheId kIds = 64;
  constexpr int kThreads = 8;
  const int operations = kSanitized ? 5'000 : 50'000;
  MaskCache cache(kBudget);
  std::atomic<int> working{kThreads};
  std::atomic<bool> foreign_mask{false};

  // A mask's size follows from its id, so that a foreign mask shows.
  const auto size_of = [](CacheId id) { return std::size_t{id} * 20; };
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int operation = 0; operation < operations; ++operation) {
      const CacheId id = 1 + random() % kIds;
      switch (random() % 4) {
        case 0:
          cache.Put(id, MakeBits(size_of(id)));
          break;
        case 1:
          if (const auto bits = cache.Get(id); bits && bits->byte_size() != size_of(id)) {
            foreign_mask = true;
          }
          break;
        case 2:
          cache.Erase(id);
          break;
        case 3:
          if (cache.Reserve(size_of(id)).ok()) cache.Unreserve(size_of(id));
          break;
      }
    }
    --working;
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < kThreads; ++seed) threads.emplace_back(work, seed);
  std::size_t most = 0;
  while (working > 0) {
    most = std::max(most, cache.bytes());
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_LE(most, kBudget);
  EXPECT_GT(most, 0u);
  EXPECT_FALSE(foreign_mask);
  for (CacheId id = 1; id <= kIds; ++id) cache.Erase(id);
  EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace dropoutd
