#include "server/session/mask_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/session/short_forms.h"

namespace dropoutd {
namespace {

constexpr std::size_t kOverhead = MaskCache::kEntryOverhead;

// A budget for `count` masks of `byte_size` bytes.
constexpr std::size_t BudgetFor(std::size_t count, std::size_t byte_size) {
  return count * (byte_size + kOverhead);
}

// Entries of one tenant, by numbers that the tests give them.
class Shelf {
 public:
  explicit Shelf(MaskCache& cache, const std::string& tenant = "")
      : cache_(cache), account_(cache.Open(tenant)) {}

  void Put(int number, std::shared_ptr<const PackedBits> bits) {
    const auto [at, is_new] = entries_.try_emplace(number);
    if (is_new) at->second = cache_.NewEntry(account_);
    at->second.Put(std::move(bits));
  }
  void Put(int number, std::size_t byte_size) { Put(number, MakeBits(byte_size)); }

  std::shared_ptr<const PackedBits> Get(int number) const {
    const auto found = entries_.find(number);
    return found == entries_.end() ? nullptr : found->second.Get();
  }

  void Erase(int number) { entries_.erase(number); }

  absl::StatusOr<MaskCache::Reservation> Reserve(std::size_t byte_size) {
    return cache_.Reserve(account_, byte_size);
  }

  std::size_t bytes() const { return cache_.bytes_of(*account_); }

  // Which of `numbers` are there. Touches them in that order.
  std::vector<int> Present(const std::vector<int>& numbers) const {
    std::vector<int> present;
    std::copy_if(numbers.begin(), numbers.end(), std::back_inserter(present),
                 [&](int number) { return Get(number) != nullptr; });
    return present;
  }

 private:
  MaskCache& cache_;
  MaskCache::AccountRef account_;
  std::map<int, MaskCache::Entry> entries_;
};

using Numbers = std::vector<int>;

TEST(MaskCacheTest, GivesBackWhatWasPut) {
  MaskCache cache(BudgetFor(2, 100));
  Shelf shelf(cache);
  const auto bits = MakeBits(100);
  shelf.Put(7, bits);
  EXPECT_EQ(shelf.Get(7), bits);
  EXPECT_EQ(cache.NewEntry(cache.Open("")).Get(), nullptr);
  EXPECT_EQ(cache.bytes(), 100 + kOverhead);
}

TEST(MaskCacheTest, NoPlaceHasNothing) {
  const MaskCache::Entry nowhere;
  EXPECT_FALSE(nowhere);
  EXPECT_EQ(nowhere.Get(), nullptr);
}

TEST(MaskCacheTest, WhatIsInAnEntryGoesWithIt) {
  MaskCache cache(BudgetFor(3, 100));
  Shelf shelf(cache);
  for (const int number : {1, 2}) shelf.Put(number, 100);
  shelf.Erase(1);
  EXPECT_EQ(shelf.Present({1, 2}), Numbers{2});
  EXPECT_EQ(cache.bytes(), 100 + kOverhead);
  MaskCache::Entry first = cache.NewEntry(cache.Open("a"));
  first.Put(MakeBits(100));
  MaskCache::Entry second(std::move(first));
  EXPECT_NE(second.Get(), nullptr);
  second = cache.NewEntry(cache.Open("a"));  // What it had goes.
  EXPECT_EQ(second.Get(), nullptr);
  shelf.Erase(2);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(MaskCacheTest, LeastRecentlyUsedGoesFirst) {
  MaskCache cache(BudgetFor(3, 100));
  Shelf shelf(cache);
  for (const int number : {1, 2, 3}) shelf.Put(number, 100);
  EXPECT_NE(shelf.Get(1), nullptr);  // From oldest to newest: 2 3 1.
  shelf.Put(4, 100);                 // 3 1 4.
  EXPECT_EQ(shelf.Present({2}), Numbers{});
  shelf.Put(3, 100);  // 1 4 3.
  shelf.Put(5, 100);  // 4 3 5.
  EXPECT_EQ(shelf.Present({1, 4, 3, 5}), (Numbers{4, 3, 5}));
  EXPECT_EQ(cache.counts().evictions, 2u);
}

TEST(MaskCacheTest, ALargeMaskEvictsSeveralSmallOnes) {
  MaskCache cache(BudgetFor(4, 100));
  Shelf shelf(cache);
  for (const int number : {1, 2, 3, 4}) shelf.Put(number, 100);
  shelf.Put(5, 100 + 2 * (100 + kOverhead));
  EXPECT_EQ(shelf.Present({1, 2, 3, 4, 5}), (Numbers{4, 5}));
  EXPECT_EQ(cache.bytes(), cache.budget());
}

TEST(MaskCacheTest, TinyMasksCountTheirOverhead) {
  constexpr std::size_t kFit = 10;
  MaskCache cache(BudgetFor(kFit, 1));
  Shelf shelf(cache);
  for (int number = 1; number <= 1000; ++number) {
    shelf.Put(number, 1);
    ASSERT_LE(cache.bytes(), cache.budget());
  }
  std::size_t present = 0;
  for (int number = 1; number <= 1000; ++number) present += shelf.Get(number) != nullptr ? 1 : 0;
  EXPECT_EQ(present, kFit);
}

TEST(MaskCacheTest, AMaskOfTheWholeBudgetFits) {
  MaskCache cache(1000);
  Shelf shelf(cache);
  shelf.Put(1, 1000 - kOverhead);
  EXPECT_NE(shelf.Get(1), nullptr);
  EXPECT_EQ(cache.bytes(), 1000u);
}

TEST(MaskCacheTest, ATooLargeMaskIsNotKeptAndEvictsNothing) {
  MaskCache cache(1000);
  Shelf shelf(cache);
  shelf.Put(1, 100);
  shelf.Put(2, 1001 - kOverhead);
  EXPECT_EQ(shelf.Present({1, 2}), Numbers{1});
}

TEST(MaskCacheTest, PutReplaces) {
  MaskCache cache(1000);
  Shelf shelf(cache);
  shelf.Put(1, 100);
  const auto larger = MakeBits(300);
  shelf.Put(1, larger);
  EXPECT_EQ(shelf.Get(1), larger);
  EXPECT_EQ(cache.bytes(), 300 + kOverhead);
}

TEST(MaskCacheTest, ReplacingByATooLargeMaskLeavesNone) {
  MaskCache cache(1000);
  Shelf shelf(cache);
  shelf.Put(1, 100);
  shelf.Put(1, 2000);
  EXPECT_EQ(shelf.Get(1), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(MaskCacheTest, ReservationsEvictAndGiveThemselvesBack) {
  MaskCache cache(BudgetFor(2, 100));
  Shelf shelf(cache);
  shelf.Put(1, 100);
  shelf.Put(2, 100);
  {
    const auto reservation = shelf.Reserve(100);
    ASSERT_TRUE(reservation.ok());
    EXPECT_EQ(shelf.Present({1, 2}), Numbers{2});
    EXPECT_EQ(cache.bytes(), cache.budget());
    EXPECT_EQ(cache.reserved(), 100 + kOverhead);
  }
  EXPECT_EQ(cache.reserved(), 0u);
  EXPECT_EQ(cache.bytes(), 100 + kOverhead);
  shelf.Put(1, 100);
  EXPECT_EQ(shelf.Present({1, 2}), (Numbers{1, 2}));
}

TEST(MaskCacheTest, ReservationsJoinAndPart) {
  MaskCache cache(BudgetFor(3, 100));
  Shelf shelf(cache);
  MaskCache::Reservation all;
  for (int i = 0; i < 3; ++i) all.Absorb(*shelf.Reserve(100));
  EXPECT_EQ(cache.reserved(), cache.budget());
  all.GiveBackOne(100);
  EXPECT_EQ(cache.reserved(), BudgetFor(2, 100));
  all = *shelf.Reserve(10);  // What it had goes.
  EXPECT_EQ(cache.reserved(), 10 + kOverhead);
}

TEST(MaskCacheTest, MasksNeverTakeWhatIsReserved) {
  MaskCache cache(BudgetFor(2, 100));
  Shelf shelf(cache);
  const auto reservation = shelf.Reserve(100);
  ASSERT_TRUE(reservation.ok());
  shelf.Put(1, 100);
  shelf.Put(2, 101);
  EXPECT_EQ(shelf.Present({1, 2}), Numbers{1});
  shelf.Put(3, 100);
  EXPECT_EQ(shelf.Present({1, 3}), Numbers{3});
  EXPECT_EQ(cache.bytes(), cache.budget());
}

TEST(MaskCacheTest, AReservationThatDoesNotFitChangesNothing) {
  MaskCache cache(BudgetFor(3, 100));
  Shelf shelf(cache);
  const auto reservation = shelf.Reserve(100);
  ASSERT_TRUE(reservation.ok());
  shelf.Put(1, 100);
  shelf.Put(2, 100);
  EXPECT_EQ(ReasonText(shelf.Reserve(101 + 100 + kOverhead)), "QUOTA_MASK_CACHE");
  EXPECT_EQ(shelf.Present({1, 2}), (Numbers{1, 2}));
  EXPECT_EQ(cache.bytes(), cache.budget());
}

TEST(MaskCacheTest, ABudgetOfZeroKeepsNothing) {
  MaskCache cache(0);
  Shelf shelf(cache);
  shelf.Put(1, 0);
  EXPECT_EQ(shelf.Get(1), nullptr);
  EXPECT_EQ(ReasonText(shelf.Reserve(0)), "QUOTA_MASK_CACHE");
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(MaskCacheTest, ATenantBeyondItsOwnBudgetLosesItsOwn) {
  MaskCache cache(BudgetFor(6, 100), BudgetFor(3, 100));
  Shelf a(cache, "a");
  Shelf b(cache, "b");
  b.Put(1, 100);
  for (const int number : {1, 2, 3, 4, 5}) a.Put(number, 100);
  EXPECT_EQ(a.Present({1, 2, 3, 4, 5}), (Numbers{3, 4, 5}));
  for (const int number : {2, 3}) b.Put(number, 100);
  EXPECT_EQ(b.Present({1, 2, 3}), (Numbers{1, 2, 3}));
  EXPECT_EQ(a.bytes(), cache.tenant_budget());
  a.Put(6, 101 + 2 * (100 + kOverhead));  // More than the tenant's budget.
  EXPECT_EQ(a.Present({3, 4, 5, 6}), (Numbers{3, 4, 5}));
}

TEST(MaskCacheTest, OfThreeTenantsTheOneThatHoldsMostGivesWay) {
  MaskCache cache(BudgetFor(10, 100), BudgetFor(6, 100));
  Shelf a(cache, "a");
  Shelf b(cache, "b");
  Shelf c(cache, "c");
  for (const int number : {1, 2, 3, 4, 5, 6}) a.Put(number, 100);
  for (const int number : {1, 2, 3, 4}) b.Put(number, 100);
  EXPECT_EQ(b.Present({1, 2, 3, 4}), (Numbers{1, 2, 3, 4}));  // The oldest of all.
  for (const int number : {1, 2, 3}) c.Put(number, 100);
  EXPECT_EQ(a.Present({1, 2, 3, 4, 5, 6}), (Numbers{4, 5, 6}));
  EXPECT_EQ(b.Present({1, 2, 3, 4}), (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(c.Present({1, 2, 3}), (Numbers{1, 2, 3}));
  // Whoever would hold most with what it puts loses its own.
  b.Put(5, 100);
  EXPECT_EQ(b.Present({1, 2, 3, 4, 5}), (Numbers{2, 3, 4, 5}));
}

TEST(MaskCacheTest, ATenantWhoseReservationsAreFullLeavesTheOthersTheirHalf) {
  MaskCache cache(BudgetFor(6, 100), BudgetFor(3, 100));
  Shelf a(cache, "a");
  Shelf b(cache, "b");
  std::vector<MaskCache::Reservation> held;
  for (int i = 0; i < 3; ++i) held.push_back(*a.Reserve(100));
  EXPECT_EQ(ReasonText(a.Reserve(100)), "QUOTA_MASK_CACHE");
  a.Put(1, 100);
  EXPECT_EQ(a.Get(1), nullptr);
  for (int i = 0; i < 3; ++i) {
    auto reservation = b.Reserve(100);
    ASSERT_TRUE(reservation.ok()) << i;
    held.push_back(*std::move(reservation));
  }
}

TEST(MaskCacheTest, ReservationsEvictWhatOtherTenantsHaveCached) {
  MaskCache cache(BudgetFor(4, 100));
  Shelf a(cache, "a");
  Shelf b(cache, "b");
  for (const int number : {1, 2, 3, 4}) a.Put(number, 100);
  const auto reservation = b.Reserve(100 + 100 + kOverhead);
  ASSERT_TRUE(reservation.ok());
  EXPECT_EQ(a.Present({1, 2, 3, 4}), (Numbers{3, 4}));
}

TEST(MaskCacheTest, RefusalsNameTheFlagAndNoFiguresOfOthers) {
  MaskCache cache(10'000, 7'000);
  Shelf a(cache, "alice");
  Shelf b(cache, "bob");
  const auto held = a.Reserve(4'321);
  const std::string of_tenant(b.Reserve(6'841).status().message());
  EXPECT_NE(of_tenant.find("--tenant_mask_cache_bytes allows 7000,"), std::string::npos)
      << of_tenant;
  const std::string of_all(b.Reserve(6'000).status().message());
  EXPECT_NE(of_all.find("--mask_cache_bytes allows 10000 in all"), std::string::npos) << of_all;
  for (const std::string& message : {of_tenant, of_all}) {
    EXPECT_EQ(message.find("alice"), std::string::npos);
    EXPECT_EQ(message.find("4481"), std::string::npos);
    EXPECT_NE(message.find("of which you have 0"), std::string::npos) << message;
  }
}

// The cache as a list, the most recently used first, searched from end to end.
class CacheModel {
 public:
  explicit CacheModel(std::size_t budget) : budget_(budget) {}

  void Put(int id, std::size_t size) {
    Erase(id);
    if (size + kOverhead > budget_ - Reserved()) return;
    EvictFor(size);
    entries_.emplace_front(id, size);
  }

  bool Get(int id) {
    const auto found = Find(id);
    if (found == entries_.end()) return false;
    entries_.splice(entries_.begin(), entries_, found);
    return true;
  }

  void Erase(int id) {
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
  using Entries = std::list<std::pair<int, std::size_t>>;

  Entries::iterator Find(int id) {
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
  constexpr int kIds = 30;
  MaskCache cache(kBudget);
  Shelf shelf(cache);
  std::vector<MaskCache::Reservation> reservations;
  CacheModel model(kBudget);
  std::mt19937 random(20140615);
  const auto below = [&](unsigned end) { return random() % end; };
  for (int operation = 0; operation < 20'000; ++operation) {
    const int id = 1 + static_cast<int>(below(kIds));
    // Now and then larger than the budget.
    const std::size_t size = below(20) == 0 ? below(2 * kBudget) : below(1500);
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        shelf.Put(id, size);
        model.Put(id, size);
        break;
      case 3:
      case 4:
        ASSERT_EQ(shelf.Get(id) != nullptr, model.Get(id)) << "operation " << operation;
        break;
      case 5:
        shelf.Erase(id);
        model.Erase(id);
        break;
      case 6: {
        auto reservation = shelf.Reserve(size);
        ASSERT_EQ(reservation.ok(), model.Reserve(size)) << "operation " << operation;
        if (reservation.ok()) reservations.push_back(*std::move(reservation));
        break;
      }
      case 7:
        if (model.TakeReservation()) reservations.pop_back();
        break;
    }
    ASSERT_EQ(cache.bytes(), model.bytes()) << "operation " << operation;
    ASSERT_LE(cache.bytes(), kBudget) << "operation " << operation;
  }
  for (int id = 1; id <= kIds; ++id) EXPECT_EQ(shelf.Get(id) != nullptr, model.Get(id)) << id;
}

TEST(MaskCacheTest, StaysWithinTheBudgetsUnderManyThreads) {
  constexpr std::size_t kBudget = 20'000;
  constexpr std::size_t kTenantBudget = 9'000;
  constexpr int kIds = 64;
  constexpr int kThreads = 6;
  const int operations = kSanitized ? 2'000 : 20'000;
  MaskCache cache(kBudget, kTenantBudget);
  std::atomic<int> working{kThreads};
  std::atomic<bool> foreign_mask{false};

  // A mask's size follows from its place, so that a foreign mask shows. All threads share entries.
  const auto size_of = [](std::size_t id) { return id * 20; };
  std::vector<MaskCache::AccountRef> accounts;
  for (const char* const tenant : {"a", "b", "c"}) accounts.push_back(cache.Open(tenant));
  std::vector<MaskCache::Entry> entries;
  for (int id = 0; id < kIds; ++id) entries.push_back(cache.NewEntry(accounts[id % 3]));
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int operation = 0; operation < operations; ++operation) {
      const std::size_t id = random() % kIds;
      switch (random() % 4) {
        case 0:
          entries[id].Put(MakeBits(size_of(id)));
          break;
        case 1:
          if (const auto bits = entries[id].Get(); bits && bits->byte_size() != size_of(id)) {
            foreign_mask = true;
          }
          break;
        case 2: {
          const MaskCache::Entry own = cache.NewEntry(cache.Open(id % 2 == 0 ? "b" : "d"));
          own.Put(MakeBits(size_of(id)));
          break;
        }
        case 3:
          static_cast<void>(cache.Reserve(accounts[id % 3], size_of(id)));
          break;
      }
    }
    --working;
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < kThreads; ++seed) threads.emplace_back(work, seed);
  std::size_t most = 0;
  std::size_t most_of_tenant = 0;
  while (working > 0) {
    most = std::max(most, cache.bytes());
    for (const auto& account : accounts) {
      most_of_tenant = std::max(most_of_tenant, cache.bytes_of(*account));
    }
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_LE(most, kBudget);
  EXPECT_LE(most_of_tenant, kTenantBudget);
  EXPECT_GT(most, kTenantBudget);
  EXPECT_FALSE(foreign_mask);
  EXPECT_EQ(cache.reserved(), 0u);
  entries.clear();
  EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace dropoutd
