// Redis: sessions that an earlier version has left, and what it finds of the present one's.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/store/framing.h"
#include "server/store/hiredis_connection.h"
#include "server/store/redis_store.h"
#include "tests/store/redis_process.h"
#include "tests/store/redis_test_changes.h"

namespace dropoutd {
namespace {

class RedisFormat1Test : public testing::Test {
 protected:
  RedisFormat1Test() {
    store_ = RedisStore::Open(redis_.address()).value();
    connection_ = HiredisConnection::Connect(redis_.address()).value();
  }

  std::int64_t RedisTime() {
    std::int64_t seconds = 0;
    EXPECT_TRUE(absl::SimpleAtoi(connection_->Run({"TIME"})->list[0].text, &seconds));
    return seconds * 1000;
  }

  RedisValue Run(const std::vector<std::string>& words) {
    const auto answer = connection_->Run(RedisArguments(words.begin(), words.end()));
    EXPECT_TRUE(answer.ok() && !answer->is_error()) << answer->text;
    return *answer;
  }

  // As scripts of format 1 have made it, at version 3, with the fields a and b.
  void MakeOld(const std::string& key) {
    const std::string base = "dropout:{" + key + "}:";
    const std::string end = std::to_string(RedisTime() + 3'600'000);
    Run({"HSET", base + "d", "v", "3", "doc", Frame("document", "old"), "e", end});
    for (const std::string name : {"a", "b"}) {
      Run({"HSET", base + "f", name, Frame(name, "value of " + name)});
      Run({"ZADD", base + "n", "0", name});
    }
    for (const char* const each : {"d", "f", "n"}) Run({"PEXPIREAT", base + each, end});
    Run({"ZADD", "dropout:keys", "0", key});
    Run({"ZADD", "dropout:expiry", end, key});
  }

  RedisProcess redis_;
  std::unique_ptr<RedisStore> store_;
  std::unique_ptr<RedisConnection> connection_;
};

TEST_F(RedisFormat1Test, AQueryFindsASession) {
  MakeOld("t/old");
  StoreQuery query;
  query.fields = {"a", "b", "c"};
  const auto answer = store_->Query("t/old", query);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->parts.size(), 1U);
  EXPECT_EQ(answer->parts[0].name, "document");
  EXPECT_EQ(answer->parts[0].value, "old");
  EXPECT_EQ(answer->fields[0].value, "value of a");
  EXPECT_EQ(answer->fields[1].value, "value of b");
  EXPECT_FALSE(answer->fields[2].value.has_value());
  EXPECT_TRUE(answer->fields[0].token);
  EXPECT_NE(answer->fields[0].token, answer->fields[1].token);
  EXPECT_GT(answer->left, std::chrono::minutes(59));
  // It is the same session from now on, through any server.
  const auto other = RedisStore::Open(redis_.address()).value();
  EXPECT_EQ(other->Query("t/old", {})->token, answer->token);
  EXPECT_EQ(other->Query("t/old", {})->incarnation, answer->incarnation);
}

TEST_F(RedisFormat1Test, ItsFieldsHaveTokens) {
  MakeOld("s");
  StoreQuery query;
  query.fields = {"a"};
  const StoreAnswer answer = store_->Query("s", query).value();
  StoreChange made;
  made.token = answer.token;
  made.incarnation = answer.incarnation;
  EXPECT_EQ(OutcomeOf(store_->Commit("s", Writing(made, "a", "new"))),
            static_cast<int>(StoreOutcome::kOccupied));
  ExpectDone(store_->Commit("s", Writing(made, "a", "new", answer.fields[0].token)));
  EXPECT_EQ(FieldOf(*store_, "s", "a").value, "new");
  const auto snapshot = store_->Snapshot("s").value();
  EXPECT_EQ(snapshot->Next(9)->size(), 2U);
}

TEST_F(RedisFormat1Test, ItsKeyIsTaken) {
  MakeOld("s");
  const auto result = store_->Commit("s", Making());
  EXPECT_EQ(OutcomeOf(result), static_cast<int>(StoreOutcome::kConflict));
  EXPECT_TRUE(result->exists);
  MakeOld("started");
  EXPECT_EQ(OutcomeOf(CommitAndWait(*store_, "started", Making())),
            static_cast<int>(StoreOutcome::kConflict));
}

TEST_F(RedisFormat1Test, ListAndCountSeeOldAndNew) {
  MakeOld("t/b");
  MakeOld("t/d");
  ExpectDone(store_->Commit("t/a", Making()));
  ExpectDone(store_->Commit("t/c", Making()));
  const std::vector<std::string> all = {"t/a", "t/b", "t/c", "t/d"};
  EXPECT_EQ(*store_->List("t/", "", 9), all);
  EXPECT_EQ(*store_->Count(), 4U);
  EXPECT_EQ(*store_->List("t/", "t/a", 2), (std::vector<std::string>{"t/b", "t/c"}));
  StoreChange limited = Making();
  limited.makes->most_of_tenant = 4;
  limited.makes->prefix = "t/";
  EXPECT_EQ(OutcomeOf(store_->Commit("t/e", limited)), static_cast<int>(StoreOutcome::kTenantFull));
  ASSERT_TRUE(store_->Query("t/b", {}).ok());  // Moves it.
  EXPECT_EQ(*store_->List("t/", "", 9), all);
  EXPECT_EQ(*store_->Count(), 4U);
}

TEST_F(RedisFormat1Test, WhatHasExpiredComesOffTheIndex) {
  Run({"ZADD", "dropout:keys", "0", "gone"});
  Run({"ZADD", "dropout:expiry", std::to_string(RedisTime() - 1000), "gone"});
  EXPECT_EQ(*store_->Count(), 0U);
  EXPECT_TRUE(store_->List("", "", 9)->empty());
  ASSERT_TRUE(store_->RemoveExpired().ok());
  EXPECT_EQ(Run({"EXISTS", "dropout:keys"}).integer, 0);
}

// What a server of format 1 takes for a damaged session, so that it makes none of its own there.
TEST_F(RedisFormat1Test, AStubStandsAtTheOldKey) {
  const std::string stub = "dropout:{s}:d";
  StoreChange made = Making();
  made.ttl = std::chrono::minutes(10);
  ExpectDone(store_->Commit("s", made));
  EXPECT_EQ(Run({"HGET", stub, "v"}).text, "1");
  EXPECT_EQ(Run({"HGET", stub, "doc"}).text, Frame("document", "\x02"));
  EXPECT_GT(Run({"PTTL", stub}).integer, 600'000);
  StoreQuery renewal;
  renewal.ttl = std::chrono::hours(1);
  ASSERT_TRUE(store_->Query("s", renewal).ok());
  EXPECT_GT(Run({"PTTL", stub}).integer, 3'600'000);
  ExpectDone(store_->Remove("s", made.incarnation, Token::Random()));
  EXPECT_EQ(Run({"EXISTS", stub}).integer, 0);
  MakeOld("s");
  ASSERT_TRUE(store_->Query("s", {}).ok());
  EXPECT_EQ(Run({"HGET", stub, "v"}).text, "4");
  EXPECT_EQ(Run({"HGET", stub, "doc"}).text, Frame("document", "\x02"));
  EXPECT_EQ(Run({"EXISTS", "dropout:{s}:f"}).integer, 0);
}

TEST_F(RedisFormat1Test, WhatWasSetAsideStaysSo) {
  MakeOld("s");
  Run({"HSET", "dropout:{s}:d", "q", "1"});
  EXPECT_EQ(ReasonText(store_->Query("s", {}).status()), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(store_->Query("s", {}).status()), "STORE_CORRUPT");
}

}  // namespace
}  // namespace dropoutd
