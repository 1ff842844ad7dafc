// When sessions end, over a store of the engine's own.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/session/engine.h"
#include "server/store/memory_store.h"
#include "server/store/sqlite_store.h"
#include "tests/session/manual_clock.h"
#include "tests/session/support.h"
#include "tests/store/stores_under_test.h"

namespace dropoutd {
namespace {

constexpr Nanoseconds kTtl = std::chrono::seconds(100);

Limits ShortLives() {
  Limits limits;
  limits.default_ttl = kTtl;
  return limits;
}

std::size_t SessionCount() {
  const char* const wanted = std::getenv("DROPOUTD_EXPIRY_SESSIONS");
  if (wanted != nullptr) return static_cast<std::size_t>(std::atoll(wanted));
  return kSanitized ? 3'000 : 20'000;
}

// More sessions than copies are kept of, each called a moment after it has counted as idle, while
// idle copies are dropped.
TEST(EngineExpiryTest, NoSessionInUseEnds) {
  const std::size_t sessions = SessionCount();
  constexpr int kRounds = 3;
  constexpr Nanoseconds kPeriod = std::chrono::milliseconds(60'500);
  constexpr std::size_t kCallsASweep = 50;
  const TemporaryFolder folder;
  ManualClock clock;
  SqliteOptions options;
  options.now = [&clock] { return clock.WallNow(); };
  const auto store = SqliteStore::Open(folder.File("sessions.db"), options).value();
  Engine engine(ShortLives(), clock, store.get());
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < sessions; ++i) {
    ids.push_back(absl::StrCat("s", i));
    ASSERT_EQ(ReasonText(engine.CreateSession(MakeSpec(ids.back(), 1, {}))), "OK");
  }
  std::atomic<std::size_t> calls = 0;
  std::atomic<bool> done = false;
  std::thread sweeper([&] {
    for (std::size_t swept = 0; !done;) {
      if (calls < swept + kCallsASweep) {
        std::this_thread::yield();
        continue;
      }
      swept = calls;
      engine.RemoveExpired();
    }
  });
  std::size_t lost = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (const std::string& id : ids) {
      clock.Advance(kPeriod / static_cast<std::int64_t>(sessions));
      if (!engine.GetSession(id).ok()) ++lost;
      ++calls;
    }
  }
  done = true;
  sweeper.join();
  EXPECT_EQ(lost, 0u) << "of " << sessions;
}

// Calls `before` ahead of each commit.
class HookedStore final : public Store {
 public:
  HookedStore(Store& store, std::function<void(const StoreChange&)> before)
      : store_(store), before_(std::move(before)) {}

  std::string_view kind() const override { return store_.kind(); }
  bool is_shared() const override { return store_.is_shared(); }
  std::uint64_t history() const override { return store_.history(); }
  absl::Status Check() override { return store_.Check(); }
  void StartCommit(std::string_view key, StoreChange change, Committed done) override {
    before_(change);
    store_.StartCommit(key, std::move(change), std::move(done));
  }
  absl::StatusOr<StoreVersion> Commit(std::string_view key, StoreChange change) override {
    before_(change);
    return store_.Commit(key, std::move(change));
  }
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override {
    return store_.Query(key, query);
  }
  absl::StatusOr<std::vector<StoreField>> Scan(std::string_view key, const FieldRange& range,
                                               std::size_t limit) override {
    return store_.Scan(key, range, limit);
  }
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, const FieldRange& range,
                                           std::size_t keep) override {
    return store_.EraseRange(key, range, keep);
  }
  absl::Status Remove(std::string_view key) override { return store_.Remove(key); }
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override {
    return store_.List(prefix, after, limit);
  }
  absl::StatusOr<std::uint64_t> Count() override { return store_.Count(); }
  absl::Status RemoveExpired() override { return store_.RemoveExpired(); }

 private:
  Store& store_;
  const std::function<void(const StoreChange&)> before_;
};

// A call that comes while a session ends is answered as after the end: one that was answered well
// would have renewed it.
TEST(EngineExpiryTest, AnAnswerWhileASessionEndsStaysTrue) {
  ManualClock clock;
  MemoryStore memory([&clock] { return clock.WallNow(); });
  Engine* caller = nullptr;
  std::vector<std::string> answers;
  HookedStore store(memory, [&](const StoreChange& change) {
    // The end of the session is on its way to the store.
    if (change.document.has_value() || !change.expire_time.has_value() || !answers.empty()) return;
    answers.emplace_back();
    answers.back() = ReasonText(caller->GetSession("s"));
  });
  Engine engine(ShortLives(), clock, &store);
  caller = &engine;
  ASSERT_EQ(ReasonText(engine.CreateSession(MakeSpec("s", 1, {}))), "OK");
  clock.Advance(kTtl);
  engine.RemoveExpired();
  ASSERT_EQ(answers, std::vector<std::string>{"SESSION_NOT_FOUND"});
  EXPECT_EQ(ReasonText(engine.GetSession("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(*memory.Count(), 0u);
}

// The name of a session that has ended is free at once.
TEST(EngineExpiryTest, ASessionThatHasEndedIsMadeAgain) {
  ManualClock clock;
  MemoryStore memory([&clock] { return clock.WallNow(); });
  Engine engine(ShortLives(), clock, &memory);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    ASSERT_EQ(ReasonText(engine.CreateSession(MakeSpec("s", seed, {}))), "OK");
    clock.Advance(kTtl);
  }
}

}  // namespace
}  // namespace dropoutd
