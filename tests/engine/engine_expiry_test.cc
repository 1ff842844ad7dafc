// When sessions end, over a store of the engine's own.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/engine.h"
#include "server/store/memory_store.h"
#include "tests/engine/manual_clock.h"
#include "tests/engine/support.h"

namespace dropoutd {
namespace {

constexpr Nanoseconds kTtl = std::chrono::seconds(100);

Limits ShortLives() {
  Limits limits;
  limits.default_ttl = kTtl;
  return limits;
}

// Calls `before` ahead of each removal of a session.
class HookedStore final : public Store {
 public:
  HookedStore(Store& store, std::function<void()> before)
      : store_(store), before_(std::move(before)) {}

  std::string_view kind() const override { return store_.kind(); }
  bool is_shared() const override { return store_.is_shared(); }
  absl::Status Check() override { return store_.Check(); }
  void StartCommit(std::string_view key, StoreChange change, Committed done) override {
    store_.StartCommit(key, std::move(change), std::move(done));
  }
  absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) override {
    return store_.Commit(key, std::move(change));
  }
  absl::Status Stage(std::string_view key, Token incarnation,
                     std::vector<StoreField> fields) override {
    return store_.Stage(key, incarnation, std::move(fields));
  }
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override {
    return store_.Query(key, query);
  }
  absl::StatusOr<std::unique_ptr<StoreSnapshot>> Snapshot(std::string_view key) override {
    return store_.Snapshot(key);
  }
  absl::StatusOr<std::vector<Token>> Tokens(const std::vector<std::string>& keys) override {
    return store_.Tokens(keys);
  }
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, Token incarnation,
                                           std::optional<Token> expected, const FieldRange& range,
                                           std::size_t keep, std::size_t most) override {
    return store_.EraseRange(key, incarnation, expected, range, keep, most);
  }
  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation,
                                     Token token) override {
    before_();
    return store_.Remove(key, incarnation, token);
  }
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override {
    return store_.List(prefix, after, limit);
  }
  absl::StatusOr<std::uint64_t> Count() override { return store_.Count(); }
  absl::Status RemoveExpired() override { return store_.RemoveExpired(); }

 private:
  Store& store_;
  const std::function<void()> before_;
};

// A call that comes while a session ends is answered as after the end: one that was answered well
// would have renewed it. It may wait for the end.
TEST(EngineExpiryTest, AnAnswerWhileASessionEndsStaysTrue) {
  ManualClock clock;
  MemoryStore memory([&clock] { return clock.Now(); });
  Engine* caller = nullptr;
  std::future<std::string> answer;
  HookedStore store(memory, [&] {
    // The end of the session is on its way to the store.
    answer = std::async(std::launch::async, [&] { return ReasonText(caller->GetSession("s")); });
    answer.wait_for(std::chrono::milliseconds(100));
  });
  Engine engine(ShortLives(), clock, &store);
  caller = &engine;
  ASSERT_EQ(ReasonText(engine.CreateSession(MakeSpec("s", 1, {}))), "OK");
  clock.Advance(kTtl);
  engine.RemoveExpired();
  ASSERT_TRUE(answer.valid());
  EXPECT_EQ(answer.get(), "SESSION_NOT_FOUND");
  EXPECT_EQ(ReasonText(engine.GetSession("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(*memory.Count(), 0u);
}

// The name of a session that has ended is free at once.
TEST(EngineExpiryTest, ASessionThatHasEndedIsMadeAgain) {
  ManualClock clock;
  MemoryStore memory([&clock] { return clock.Now(); });
  Engine engine(ShortLives(), clock, &memory);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    ASSERT_EQ(ReasonText(engine.CreateSession(MakeSpec("s", seed, {}))), "OK");
    clock.Advance(kTtl);
  }
}

}  // namespace
}  // namespace dropoutd
