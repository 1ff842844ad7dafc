// Values in a SQLite file that are damaged, or of a later version.
#include <gtest/gtest.h>

#include <string>

#include "tests/store/sqlite_test.h"

namespace dropoutd {
namespace {

class SqliteDamageTest : public SqliteStoreTest {
 protected:
  // Two sessions with a field each.
  void SetUp() override {
    const auto store = Open();
    for (const auto& [key, making] : {std::pair("bad", bad_), std::pair("good", good_)}) {
      ASSERT_TRUE(IsDone(store->Commit(key, making)));
      ASSERT_TRUE(IsDone(store->Commit(key, Field(making, "a", "1"))));
    }
  }

  // Gives the bad session's values in `table` another beginning.
  void Damage(const std::string& table, const std::string& bytes) {
    Meddle("UPDATE " + table + " SET value = CAST(x'" + bytes +
           "' || substr(value, 2) AS BLOB) WHERE session = "
           "(SELECT id FROM sessions WHERE key = CAST('bad' AS BLOB))");
  }

  static StoreQuery OfField() {
    StoreQuery query;
    query.fields = {"a"};
    return query;
  }

  const StoreChange bad_ = New("document");
  const StoreChange good_ = New("document");
};

TEST_F(SqliteDamageTest, DamagedSessionsAreSetAside) {
  for (const std::string table : {"parts", "fields"}) {
    Damage(table, "00");
    const auto store = Open();
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(ReasonText(store->Query("bad", OfField()).status()), "STORE_CORRUPT") << table;
    }
    // And stay so for other questions, which the damage does not touch.
    EXPECT_EQ(ReasonText(store->Query("bad", {}).status()), "STORE_CORRUPT");
    EXPECT_EQ(ReasonText(store->Commit("bad", Field(bad_, "b", "2")).status()), "STORE_CORRUPT");
    EXPECT_EQ(ReasonText(store->Commit("bad", New("another")).status()), "STORE_CORRUPT");
    EXPECT_EQ(ReasonText(store->Snapshot("bad").status()), "STORE_CORRUPT");
    EXPECT_EQ(ReasonText(store->EraseRange("bad", bad_.incarnation, {}, {"", "z"}, 0, 9).status()),
              "STORE_CORRUPT");
    // No copy of it passes for good; it is listed and counted.
    EXPECT_NE(store->Tokens({"bad"})->at(0), bad_.token);
    EXPECT_EQ(*store->Count(), 2u);
    EXPECT_EQ(store->List("", "", 9)->size(), 2u);
    EXPECT_EQ(store->Query("good", OfField())->fields[0].value, "1");
    // Nobody needs it any more.
    EXPECT_EQ(store->Remove("good", {}, Token::Random())->outcome, StoreOutcome::kAbsent);
    ASSERT_TRUE(IsDone(store->Remove("bad", {}, Token::Random())));
    EXPECT_EQ(*store->Count(), 1u);
    ASSERT_TRUE(IsDone(store->Commit("bad", bad_)));
    ASSERT_TRUE(IsDone(store->Commit("bad", Field(bad_, "a", "1"))));
  }
}

TEST_F(SqliteDamageTest, WhatIsSetAsideEndsWithItsTime) {
  Damage("fields", "00");
  SqliteOptions options;
  std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
  options.now = [&now] { return now; };
  const auto store = Open(options);
  EXPECT_EQ(ReasonText(store->Query("bad", OfField()).status()), "STORE_CORRUPT");
  now += std::chrono::hours(1);
  EXPECT_EQ(store->Query("bad", {}).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(store->RemoveExpired().ok());
  EXPECT_EQ(*store->Count(), 0u);
  EXPECT_EQ(Integer("SELECT count(*) FROM sessions"), 0);
}

// Who has read the damage may say so late.
TEST_F(SqliteDamageTest, ASessionThatWasMadeSinceIsNotSetAside) {
  Damage("fields", "00");
  const auto store = Open();
  const auto snapshot = store->Snapshot("bad");
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  ASSERT_TRUE(IsDone(store->Remove("bad", bad_.incarnation, Token::Random())));
  const StoreChange again = New("again");
  ASSERT_TRUE(IsDone(store->Commit("bad", again)));
  EXPECT_EQ(ReasonText((*snapshot)->Next(10).status()), "STORE_CORRUPT");
  const auto answer = store->Query("bad", {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->token, again.token);
  // Nor is there an entry for one that is gone.
  ASSERT_TRUE(IsDone(store->Remove("bad", again.incarnation, Token::Random())));
  EXPECT_EQ(ReasonText((*snapshot)->Next(10).status()), "STORE_CORRUPT");
  EXPECT_EQ(*store->Count(), 1u);
  EXPECT_EQ(Integer("SELECT count(*) FROM sessions"), 1);
}

TEST_F(SqliteDamageTest, WhatALaterVersionHasWrittenIsLeftUntouched) {
  for (const std::string table : {"parts", "fields"}) {
    Damage(table, "03");
    {
      const auto store = Open();
      for (int i = 0; i < 2; ++i) {
        const auto answer = store->Query("bad", OfField());
        EXPECT_EQ(ReasonText(answer.status()), "STORE_FORMAT_NEWER") << table;
        EXPECT_EQ(answer.status().code(), absl::StatusCode::kFailedPrecondition);
      }
      EXPECT_EQ(store->Tokens({"bad"})->at(0), bad_.token);
    }
    Damage(table, "01");
    EXPECT_EQ(Open()->Query("bad", OfField())->fields[0].value, "1");
  }
}

TEST_F(SqliteDamageTest, ValuesDoNotTakeEachOthersPlaces) {
  ASSERT_TRUE(IsDone(Open()->Commit("bad", Field(bad_, "b", "2"))));
  Meddle(
      "UPDATE fields SET value = (SELECT value FROM fields WHERE name = CAST('b' AS BLOB)) "
      "WHERE name = CAST('a' AS BLOB)");
  EXPECT_EQ(ReasonText(Open()->Query("bad", OfField()).status()), "STORE_CORRUPT");
}

}  // namespace
}  // namespace dropoutd
