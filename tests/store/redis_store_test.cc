// Redis: what it promises beside the contract of all stores.
#include "server/store/redis_store.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/store/hiredis_connection.h"
#include "server/store/redis_keys.h"
#include "tests/store/redis_process.h"
#include "tests/store/redis_test_changes.h"

namespace dropoutd {
namespace {

using std::chrono::milliseconds;

TEST(RedisStoreTest, TwoServersSeeEachOthersChanges) {
  RedisProcess redis;
  const auto a = RedisStore::Open(redis.address()).value();
  const auto b = RedisStore::Open(redis.address()).value();
  const StoreChange made = Making();
  ExpectDone(a->Commit("s", made));
  Token last;
  for (int i = 0; i < 200; ++i) {
    Store& writer = i % 2 == 0 ? *a : *b;
    Store& reader = i % 2 == 0 ? *b : *a;
    const StoreChange change = Writing(made, "a", std::to_string(i), last);
    ASSERT_EQ(OutcomeOf(writer.Commit("s", change)), kIsDone);
    last = change.token;
    const StoreField field = FieldOf(reader, "s", "a");
    ASSERT_EQ(field.value, std::to_string(i));
    ASSERT_EQ(field.token, last);
  }
}

TEST(RedisStoreTest, WithAofNothingAcknowledgedIsLost) {
  RedisProcess redis({"--appendonly", "yes", "--appendfsync", "always"});
  RedisAddress address = redis.address();
  address.command_timeout = milliseconds(200);
  const auto store = RedisStore::Open(address).value();
  const StoreChange made = Making();
  ExpectDone(store->Commit("s", made));
  int next = 0;
  for (int death = 0; death < 3; ++death) {
    std::atomic<int> acknowledged{next};
    // Redis dies while changes are on their way.
    std::thread writer([&] {
      for (int i = next; store->Commit("s", Writing(made, std::to_string(i), "x")).ok(); ++i) {
        acknowledged = i + 1;
      }
    });
    while (acknowledged < next + 50) std::this_thread::yield();
    redis.Kill();
    writer.join();
    EXPECT_EQ(ReasonText(store->Query("s", {}).status()), "STORE_UNAVAILABLE");
    redis.Start();
    StoreQuery query;
    for (int i = next; i < acknowledged; ++i) query.fields.push_back(std::to_string(i));
    const auto answer = Retried([&] { return store->Query("s", query); });
    ASSERT_TRUE(answer.ok()) << answer.status();
    for (const StoreField& field : answer->fields) EXPECT_EQ(field.value, "x") << field.name;
    next = acknowledged + 1;  // That one may have been made.
  }
}

TEST(RedisStoreTest, AServerThatHangsIsUnavailable) {
  RedisProcess redis;
  RedisAddress address = redis.address();
  address.command_timeout = milliseconds(100);
  const auto store = RedisStore::Open(address).value();
  const StoreChange made = Making();
  ExpectDone(store->Commit("s", made));
  redis.Signal(SIGSTOP);
  EXPECT_EQ(ReasonText(store->Query("s", {}).status()), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(store->Commit("s", Writing(made, "a", "1")).status()), "STORE_UNAVAILABLE");
  redis.Signal(SIGCONT);
  const auto answer = Retried([&] { return store->Query("s", {}); });
  ASSERT_EQ(answer->parts.size(), 1U);
  EXPECT_EQ(answer->parts[0].value, "document");
}

// As a fail-over that loses the last changes, or an eviction, leaves it.
TEST(RedisStoreTest, ASessionIsNotMadeOfAPartOfWhatWasStaged) {
  RedisProcess redis;
  const auto store = RedisStore::Open(redis.address()).value();
  const auto connection = HiredisConnection::Connect(redis.address()).value();
  for (const std::string lost : {"f", "n"}) {
    StoreChange made = Making();
    std::vector<StoreField> fields;
    for (int i = 0; i < 1000; ++i) fields.push_back({std::to_string(i), "x", {}});
    ASSERT_TRUE(store->Stage(lost, made.incarnation, fields).ok());
    const std::string key = RedisKeys(lost, false).BaseOf(made.incarnation) + lost;
    const auto dropped = connection->Run({lost == "f" ? "HDEL" : "ZREM", key, "999"});
    ASSERT_EQ(dropped->integer, 1);
    made.staged = 1000;
    EXPECT_EQ(OutcomeOf(store->Commit(lost, made)), static_cast<int>(StoreOutcome::kStagedLost));
    EXPECT_TRUE(absl::IsNotFound(store->Query(lost, {}).status()));
    ASSERT_TRUE(store->Stage(lost, made.incarnation, {{"999", "x", {}}}).ok());
    ExpectDone(store->Commit(lost, made));
    EXPECT_EQ(FieldOf(*store, lost, "999").value, "x");
  }
}

// What frees memory is done also where nothing else is.
TEST(RedisStoreTest, AFullServerLosesNothingAndLetsGo) {
  RedisProcess redis({"--maxmemory", "6mb", "--maxmemory-policy", "noeviction"});
  const auto store = RedisStore::Open(redis.address()).value();
  const StoreChange made = Making();
  ExpectDone(store->Commit("s", made));
  ExpectDone(store->Commit("other", Making()));
  std::vector<Token> tokens;
  absl::Status full;
  while (full.ok() && tokens.size() < 1000) {
    const StoreChange change =
        Writing(made, std::to_string(tokens.size()), std::string(100'000, 'x'));
    full = store->Commit("s", change).status();
    if (full.ok()) tokens.push_back(change.token);
  }
  EXPECT_EQ(ReasonText(full), "STORE_UNAVAILABLE");
  EXPECT_NE(full.message().find("OOM"), std::string::npos) << full;
  StoreQuery query;
  query.ttl = std::chrono::hours(2);
  for (std::size_t i = 0; i < tokens.size(); ++i) query.fields.push_back(std::to_string(i));
  const auto answer = store->Query("s", query);
  ASSERT_TRUE(answer.ok()) << answer.status();
  for (const StoreField& field : answer->fields) EXPECT_TRUE(field.value.has_value());
  EXPECT_GT(answer->left, std::chrono::minutes(119));
  ExpectDone(store->Commit("s", Writing(made, "0", std::nullopt, tokens[0])));
  const auto erased =
      store->EraseRange("s", made.incarnation, std::nullopt, {"1", "2"}, 0, 1'000'000);
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_GT(*erased, 0U);
  ExpectDone(store->Remove("s", made.incarnation, Token::Random()));
}

TEST(RedisStoreTest, PasswordsAreAskedForAndNotTold) {
  RedisProcess redis;
  const auto open = RedisStore::Open(redis.address()).value();
  RedisAddress wrong = redis.address();
  wrong.user = "somebody";
  wrong.password = "hunter2hunter2";
  const auto refused = RedisStore::Open(wrong);
  EXPECT_EQ(ReasonText(refused.status()), "STORE_UNAVAILABLE");
  EXPECT_EQ(refused.status().message().find("hunter2"), std::string::npos);
}

TEST(RedisStoreTest, DamagedRecordsAreSetAside) {
  RedisProcess redis;
  const auto store = RedisStore::Open(redis.address()).value();
  StoreChange bad;
  for (const char* key : {"good", "bad"}) {
    bad = Making();
    ExpectDone(store->Commit(key, bad));
    ExpectDone(store->Commit(key, Writing(bad, "a", "1")));
  }
  const auto connection = HiredisConnection::Connect(redis.address()).value();
  const std::string f = RedisKeys("bad", false).BaseOf(bad.incarnation) + "f";
  ASSERT_TRUE(connection->Run({"HSET", f, "a", "\x02garbage"}).ok());
  StoreQuery query;
  query.fields = {"a"};
  EXPECT_EQ(ReasonText(store->Query("bad", query).status()), "STORE_CORRUPT");
  // And stays so for other questions, which the damage does not touch.
  EXPECT_EQ(ReasonText(store->Query("bad", {}).status()), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(store->Snapshot("bad").status()), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(store->Commit("bad", Writing(bad, "b", "2")).status()), "STORE_CORRUPT");
  // Nobody who has a copy takes it for what is there.
  EXPECT_NE(store->Tokens({"bad"})->front(), bad.token);
  EXPECT_EQ(*store->List("", "", 9), (std::vector<std::string>{"bad", "good"}));
  EXPECT_EQ(store->Query("good", query)->fields[0].value, "1");
  // Nobody needs it any more, and nobody can be asked for its incarnation.
  EXPECT_EQ(store->Remove("good", {}, Token::Random())->outcome, StoreOutcome::kAbsent);
  ExpectDone(store->Remove("bad", {}, Token::Random()));
  EXPECT_EQ(*store->List("", "", 9), std::vector<std::string>{"good"});
}

TEST(RedisStoreTest, WhatALaterVersionWroteIsLeftAlone) {
  RedisProcess redis;
  const auto store = RedisStore::Open(redis.address()).value();
  const StoreChange made = Making();
  ExpectDone(store->Commit("s", made));
  ExpectDone(store->Commit("s", Writing(made, "a", "1")));
  const auto connection = HiredisConnection::Connect(redis.address()).value();
  const std::string f = RedisKeys("s", false).BaseOf(made.incarnation) + "f";
  ASSERT_TRUE(connection->Run({"HSET", f, "a", "\x03 of the future"}).ok());
  StoreQuery query;
  query.fields = {"a"};
  EXPECT_EQ(ReasonText(store->Query("s", query).status()), "STORE_FORMAT_NEWER");
  EXPECT_TRUE(store->Query("s", {}).ok());
  EXPECT_EQ(connection->Run({"HGET", f, "a"})->text, "\x03 of the future");
}

// Sessions end by Redis's clock: the server's own decides nothing, however wrong it is. A step
// between the two costs a change one more attempt.
TEST(RedisStoreTest, ClocksOfServersMayDiffer) {
  RedisProcess redis;
  std::atomic<std::chrono::hours> shift = std::chrono::hours(0);
  RedisOptions options;
  options.now = [&shift] {
    return std::chrono::steady_clock::now().time_since_epoch() + shift.load();
  };
  const auto store = RedisStore::Open(redis.address(), options).value();
  const auto other = RedisStore::Open(redis.address()).value();
  const StoreChange made = Making();
  ExpectDone(other->Commit("s", made));
  Token last;
  for (const int hours : {0, 2, -2, 100}) {
    shift = std::chrono::hours(hours);
    const StoreChange change = Writing(made, "a", std::to_string(hours), last);
    ExpectDone(store->Commit("s", change));
    last = change.token;
    ASSERT_TRUE(store->RemoveExpired().ok());
    const auto answer = store->Query("s", {});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_GT(answer->left, std::chrono::minutes(59));
    EXPECT_LE(answer->left, std::chrono::minutes(60));
  }
}

TEST(RedisStoreTest, StartedChangesAreMadeInOrder) {
  RedisProcess redis;
  const auto store = RedisStore::Open(redis.address()).value();
  const auto connection = HiredisConnection::Connect(redis.address()).value();
  const StoreChange made = Making();
  ExpectDone(store->Commit("s", made));
  constexpr int kChanges = 500;
  std::atomic<int> done{0};
  std::promise<void> all;
  Token session = made.token;
  for (int i = 0; i < kChanges; ++i) {
    // Redis forgets the scripts in the midst of it.
    if (i % 100 == 50) {
      ASSERT_TRUE(connection->Run({"SCRIPT", "FLUSH"}).ok());
    }
    StoreChange change = Writing(made, "f" + std::to_string(i), "x");
    change.expected = session;  // Of the one before.
    change.parts = {{"document", std::to_string(i)}};
    session = change.token;
    store->StartCommit("s", std::move(change), [&](absl::StatusOr<StoreResult> result) {
      EXPECT_EQ(OutcomeOf(result), kIsDone) << result.status();
      if (++done == kChanges) all.set_value();
    });
  }
  all.get_future().wait();
  EXPECT_EQ(store->Query("s", {})->token, session);
}

TEST(RedisStoreTest, ChangesOfManySessionsAtOnce) {
  RedisProcess redis;
  const auto store = RedisStore::Open(redis.address()).value();
  constexpr int kSessions = 300;
  std::atomic<int> done{0};
  std::promise<void> all;
  for (int i = 0; i < kSessions; ++i) {
    store->StartCommit("t/" + std::to_string(i), Making(), [&](absl::StatusOr<StoreResult> result) {
      EXPECT_EQ(OutcomeOf(result), kIsDone) << result.status();
      if (++done == kSessions) all.set_value();
    });
  }
  all.get_future().wait();
  EXPECT_EQ(*store->Count(), std::uint64_t{kSessions});
  EXPECT_EQ(store->List("t/", "", 1000)->size(), std::size_t{kSessions});
  EXPECT_EQ(store->Tokens({"t/0", "none", "t/299"})->at(1), Token());
}

TEST(RedisStoreTest, ReplicasMustHaveWhatIsAcknowledged) {
  RedisProcess redis;
  RedisOptions options;
  options.wait_replicas = 1;
  RedisAddress address = redis.address();
  address.command_timeout = milliseconds(300);
  const auto store = RedisStore::Open(address, options).value();
  const StoreChange made = Making();
  EXPECT_EQ(ReasonText(store->Commit("s", made).status()), "STORE_UNAVAILABLE");
  RedisProcess replica({"--appendonly", "no", "--repl-diskless-sync-delay", "0", "--replicaof",
                        "127.0.0.1", std::to_string(address.port)},
                       /*is_replica=*/true);
  // The repeat finds itself, and waits for the replica all the same.
  ExpectDone(Retried([&] { return store->Commit("s", made); }));
  const auto connection = HiredisConnection::Connect(replica.address()).value();
  EXPECT_EQ(connection->Run({"EXISTS", RedisKeys("s", false).d})->integer, 1);
  replica.Kill();
  EXPECT_EQ(ReasonText(store->Commit("s", Writing(made, "a", "1")).status()), "STORE_UNAVAILABLE");
}

}  // namespace
}  // namespace dropoutd
