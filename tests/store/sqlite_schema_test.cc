// Files that servers before schema 2 have written.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "server/store/framing.h"
#include "tests/store/sqlite_test.h"

namespace dropoutd {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// As that schema was; it is never written again.
constexpr char kSchema1[] = R"sql(
  CREATE TABLE sessions(
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, version INTEGER NOT NULL,
    expire INTEGER NOT NULL, document BLOB NOT NULL);
  CREATE INDEX sessions_by_expire ON sessions(expire);
  CREATE TABLE fields(
    session INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY(session, name)) WITHOUT ROWID;
  PRAGMA user_version = 1;
)sql";

std::string Hex(const std::string& bytes) {
  std::string hex = "x'";
  for (const unsigned char byte : bytes) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex + "'";
}

class SqliteSchemaTest : public SqliteStoreTest {
 protected:
  void SetUp() override {
    Meddle(kSchema1);
    options_.wall_now = [] { return std::chrono::system_clock::time_point{hours(100)}; };
  }

  void AddOld(int id, const std::string& key, int version, std::chrono::microseconds expire) {
    Meddle("INSERT INTO sessions VALUES(" + std::to_string(id) + ", " + Hex(key) + ", " +
           std::to_string(version) + ", " + std::to_string(expire.count()) + ", " +
           Hex(Frame("document", "document of " + key)) + ")");
    for (const std::string name : {"a", "b"}) {
      Meddle("INSERT INTO fields VALUES(" + std::to_string(id) + ", " + Hex(name) + ", " +
             Hex(Frame(name, name + " of " + key)) + ")");
    }
  }

  SqliteOptions options_;
};

TEST_F(SqliteSchemaTest, SessionsOfSchema1AreRead) {
  AddOld(3, "s", 7, hours(100) + seconds(90));
  AddOld(5, "t", 1, hours(101));
  Token incarnation;
  Token token;
  StoreQuery query;
  query.fields = {"a", "b", "c"};
  for (int opened = 0; opened < 2; ++opened) {
    const auto store = Open(options_);
    EXPECT_EQ(*store->Count(), 2u);
    const auto answer = store->Query("s", query);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_TRUE(answer->incarnation && answer->token);
    EXPECT_NE(answer->token, answer->incarnation);
    EXPECT_NE(answer->token, store->Tokens({"t"})->at(0));
    EXPECT_LE(answer->left, seconds(90));
    EXPECT_GT(answer->left, seconds(60));
    ASSERT_EQ(answer->parts.size(), 1u);
    EXPECT_EQ(answer->parts[0].name, "document");
    EXPECT_EQ(answer->parts[0].value, "document of s");
    EXPECT_EQ(answer->fields[0].value, "a of s");
    EXPECT_EQ(answer->fields[1].value, "b of s");
    EXPECT_TRUE(answer->fields[0].token);
    EXPECT_FALSE(answer->fields[2].token);
    EXPECT_TRUE(opened == 0 || answer->token == token);
    EXPECT_TRUE(opened == 0 || answer->incarnation == incarnation);
    token = answer->token;
    incarnation = answer->incarnation;
    // Fields are written by their tokens, as any.
    StoreChange change;
    change.token = Token::Random();
    change.incarnation = incarnation;
    change.expected = token;
    change.writes = {{"b", "b of s", answer->fields[1].token}};
    EXPECT_TRUE(IsDone(store->Commit("s", change)));
  }
  EXPECT_EQ(Integer("PRAGMA user_version"), 2);
}

TEST_F(SqliteSchemaTest, WhatHasEndedOrIsSetAsideIsSoStill) {
  AddOld(1, "ended", 7, hours(100));
  AddOld(2, "bad", -7, hours(101));
  const auto store = Open(options_);
  EXPECT_EQ(store->Query("ended", {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonText(store->Query("bad", {}).status()), "STORE_CORRUPT");
  ASSERT_TRUE(store->RemoveExpired().ok());
  EXPECT_EQ(*store->List("", "", 9), std::vector<std::string>{"bad"});
}

}  // namespace
}  // namespace dropoutd
