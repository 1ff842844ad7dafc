// Redis, by a clock of the test's own: our scripts in a Redis that is simulated in this process.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "server/store/redis_store.h"
#include "tests/simulation/lua_redis.h"
#include "tests/store/redis_test_changes.h"

namespace dropoutd {
namespace {

using std::chrono::seconds;

class LuaConnection final : public RedisConnection {
 public:
  explicit LuaConnection(LuaRedis& redis) : redis_(redis) {}

  using RedisConnection::Append;
  void Append(const RedisArguments& command) override {
    commands_.emplace_back(command.begin(), command.end());
  }
  absl::StatusOr<RedisValue> Receive() override {
    const RespWords words = std::move(commands_.front());
    commands_.pop_front();
    return ToRedisValue(redis_.Execute(words));
  }
  bool is_broken() const override { return false; }
  bool HasBeenClosed() override { return false; }

 private:
  LuaRedis& redis_;
  std::deque<RespWords> commands_;
};

class LuaTopology final : public RedisTopology {
 public:
  explicit LuaTopology(LuaRedis& redis) : redis_(redis) {}

  absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(int) override {
    return std::make_unique<LuaConnection>(redis_);
  }
  int GroupOf(int) override { return 0; }
  void Suspect(int, std::string_view) override {}
  absl::Status Confirm(int, int) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<RedisConnection>> ConnectAsked(std::string_view) override {
    return Connect(0);
  }
  bool is_cluster() const override { return false; }

 private:
  LuaRedis& redis_;
};

class RedisClockTest : public testing::Test {
 protected:
  void SetUp() override {
    RedisOptions options;
    options.writers = 0;
    // Redis's clock is ahead of a step of its own; the store's stands still.
    options.now = [] { return std::chrono::nanoseconds(seconds(1000)); };
    options.sleep = [](std::chrono::milliseconds) {};
    store_ = RedisStore::Open(std::make_unique<LuaTopology>(redis_), options).value();
  }

  // One that lasts a few seconds.
  StoreChange Make(const std::string& key, int lasts) {
    StoreChange made = Making();
    made.ttl = seconds(lasts);
    ExpectDone(store_->Commit(key, made));
    return made;
  }
  void Step(int by) { micros_ += by * std::int64_t{1'000'000}; }

  std::int64_t micros_ = 1'700'000'000'000'000;
  LuaRedis redis_{[this] { return micros_; }};
  std::unique_ptr<RedisStore> store_;
};

// Whichever call sees first that a session has ended, it stays so where the clock steps back.
TEST_F(RedisClockTest, AnEndThatHasBeenSeenStays) {
  const auto is_gone = [](const absl::Status& status) { return absl::IsNotFound(status); };
  const std::pair<std::string, std::function<bool(const StoreChange&)>> seers[] = {
      {"query", [&](const StoreChange&) { return is_gone(store_->Query("query", {}).status()); }},
      {"snapshot",
       [&](const StoreChange&) { return is_gone(store_->Snapshot("snapshot").status()); }},
      {"tokens", [&](const StoreChange&) { return !store_->Tokens({"tokens"})->front(); }},
      {"commit",
       [&](const StoreChange& made) {
         return OutcomeOf(store_->Commit("commit", Writing(made, "f", "x"))) ==
                static_cast<int>(StoreOutcome::kAbsent);
       }},
      {"remove",
       [&](const StoreChange& made) {
         return OutcomeOf(store_->Remove("remove", made.incarnation, Token::Random())) ==
                static_cast<int>(StoreOutcome::kAbsent);
       }},
      {"sweep", [&](const StoreChange&) { return store_->RemoveExpired().ok(); }},
  };
  for (const auto& [key, sees] : seers) {
    const StoreChange made = Make(key, 10);
    Step(11);
    EXPECT_TRUE(sees(made)) << key;
    Step(-5);
    StoreQuery renewal;
    renewal.ttl = seconds(100);
    EXPECT_TRUE(is_gone(store_->Query(key, renewal).status())) << key;
    EXPECT_FALSE(store_->Tokens({key})->front()) << key;
    EXPECT_EQ(OutcomeOf(store_->Commit(key, Writing(made, "f", "x"))),
              static_cast<int>(StoreOutcome::kAbsent))
        << key;
    Step(60);
    ASSERT_TRUE(store_->RemoveExpired().ok());
  }
}

// A session may last for less than a late change: it loses to what was there meanwhile.
TEST_F(RedisClockTest, ASessionThatHasEndedIsNotOneThatNeverWas) {
  StoreChange late = Making();
  const StoreChange made = Make("s", 2);
  Step(3);
  for (int i = 0; i < 2; ++i) {
    const auto refused = store_->Commit("s", late);
    ASSERT_EQ(OutcomeOf(refused), static_cast<int>(StoreOutcome::kConflict));
    EXPECT_FALSE(refused->exists);
    EXPECT_EQ(refused->token, made.token);
    ASSERT_TRUE(store_->RemoveExpired().ok());
    Step(20);
  }
  // Who knows of it makes another; and when no change can come any more it is forgotten.
  StoreChange again = Making();
  again.expected = made.token;
  again.ttl = seconds(2);
  Step(-20);
  ExpectDone(store_->Commit("s", again));
  Step(2 + 31);
  ASSERT_TRUE(store_->RemoveExpired().ok());
  ExpectDone(store_->Commit("s", late));
}

}  // namespace
}  // namespace dropoutd
