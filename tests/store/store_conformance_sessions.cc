// Sessions: how they are made, renewed, counted and removed.
#include <chrono>
#include <string>
#include <vector>

#include "tests/store/store_conformance.h"

namespace dropoutd {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST_P(StoreConformanceTest, AnEmptyStoreHasNothing) {
  EXPECT_TRUE(store().Check().ok());
  EXPECT_EQ(store().Query("s", {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().Snapshot("s").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().Remove("s", Token::Random(), Token::Random())->outcome, StoreOutcome::kAbsent);
  const SessionName nobody{"s", Token::Random(), Token::Random()};
  EXPECT_EQ(Commit("s", Write(nobody, "a", "1")).outcome, StoreOutcome::kAbsent);
  EXPECT_TRUE(store().List("", "", 10)->empty());
  EXPECT_EQ(*store().Count(), 0u);
  EXPECT_FALSE(Exists("s"));
  EXPECT_EQ(*store().EraseRange("s", nobody.incarnation, {}, {"", "z"}, 0, 10), 0u);
}

TEST_P(StoreConformanceTest, ASessionIsWhatItWasMadeOf) {
  StoreChange change = New();
  change.parts = {{"a", "1"}, {"b", ""}};
  change.writes = {{"f", "2", {}}};
  const StoreResult made = Commit("s", change);
  EXPECT_EQ(made.outcome, StoreOutcome::kDone);
  EXPECT_EQ(made.token, change.token);
  const auto answer = store().Query("s", {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->incarnation, change.incarnation);
  EXPECT_EQ(answer->token, change.token);
  EXPECT_GT(answer->left, minutes(59));
  EXPECT_LE(answer->left, minutes(60));
  EXPECT_EQ(PartsOf("s"), (Parts{{"a", "1"}, {"b", ""}}));
  EXPECT_EQ(Get("s", "f").value, "2");
  EXPECT_EQ(Get("s", "f").token, change.token);
}

TEST_P(StoreConformanceTest, ASessionIsMadeOnce) {
  StoreChange first = New("one");
  SessionName session{"s", first.incarnation, {}};
  Make(session, first);
  for (const auto& expected : {std::optional<Token>(), std::optional<Token>(Token())}) {
    StoreChange second = New("two");
    second.expected = expected;
    const StoreResult refused = Commit("s", second);
    EXPECT_EQ(refused.outcome, StoreOutcome::kConflict);
    EXPECT_EQ(refused.token, first.token);
    EXPECT_TRUE(refused.exists);
  }
  // A repeat is no second one, also when the session has changed since.
  EXPECT_EQ(Commit("s", first).outcome, StoreOutcome::kDone);
  StoreChange change = ChangeOf(session);
  change.parts = {{"document", "three"}};
  Make(session, change);
  const StoreResult repeat = Commit("s", first);
  EXPECT_EQ(repeat.outcome, StoreOutcome::kDone);
  EXPECT_EQ(repeat.token, change.token);
  EXPECT_EQ(PartsOf("s")["document"], "three");
}

TEST_P(StoreConformanceTest, WhatIsRemovedIsGone) {
  const SessionName session = Create("s");
  Fill(session, {"a"});
  const Token removal = Token::Random();
  EXPECT_EQ(store().Remove("s", Token::Random(), removal)->outcome, StoreOutcome::kAbsent);
  EXPECT_TRUE(Exists("s"));
  const auto removed = store().Remove("s", session.incarnation, removal);
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->outcome, StoreOutcome::kDone);
  EXPECT_EQ(removed->token, removal);
  EXPECT_FALSE(Exists("s"));
  EXPECT_EQ(store().Query("s", {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Commit("s", Write(session, "a", "2")).outcome, StoreOutcome::kAbsent);
  EXPECT_EQ(*store().Count(), 0u);
  EXPECT_TRUE(store().List("", "", 10)->empty());
  // A repeat finds that it was done; another removal, that there is nothing.
  EXPECT_EQ(store().Remove("s", session.incarnation, removal)->outcome, StoreOutcome::kDone);
  EXPECT_EQ(store().Remove("s", session.incarnation, Token::Random())->outcome,
            StoreOutcome::kAbsent);
}

TEST_P(StoreConformanceTest, WhoMakesASessionAgainNamesTheRemoval) {
  StoreChange first = New("one");
  first.expected = Token();
  SessionName session{"s", first.incarnation, {}};
  Make(session, first);
  Fill(session, {"a"});
  const Token removal = Token::Random();
  ASSERT_TRUE(store().Remove("s", session.incarnation, removal).ok());
  // A late repeat of what made the session that is gone.
  const StoreResult late = Commit("s", first);
  EXPECT_EQ(late.outcome, StoreOutcome::kConflict);
  EXPECT_EQ(late.token, removal);
  EXPECT_FALSE(late.exists);
  StoreChange second = New("two");
  second.expected = removal;
  EXPECT_EQ(Commit("s", second).outcome, StoreOutcome::kDone);
  EXPECT_EQ(Get("s", "a").value, std::nullopt);
  EXPECT_FALSE(Get("s", "a").token);
  // Now all that was of the first one is of another incarnation.
  EXPECT_EQ(Commit("s", first).outcome, StoreOutcome::kConflict);
  EXPECT_EQ(Commit("s", Write(session, "b", "1")).outcome, StoreOutcome::kAbsent);
  EXPECT_NE(store().Remove("s", session.incarnation, Token::Random())->outcome,
            StoreOutcome::kDone);
  EXPECT_EQ(*store().EraseRange("s", session.incarnation, {}, {"", "z"}, 0, 10), 0u);
  EXPECT_EQ(PartsOf("s")["document"], "two");
}

TEST_P(StoreConformanceTest, RemovalsAreForgotten) {
  const SessionName session = Create("s");
  ASSERT_TRUE(store().Remove("s", session.incarnation, Token::Random()).ok());
  StoreChange again = New();
  again.expected = Token();
  EXPECT_EQ(Commit("s", again).outcome, StoreOutcome::kConflict);
  if (!under_test_->Advance(seconds(60))) GTEST_SKIP() << "its clock cannot be moved";
  ASSERT_TRUE(store().RemoveExpired().ok());
  EXPECT_EQ(Commit("s", again).outcome, StoreOutcome::kDone);
}

TEST_P(StoreConformanceTest, SessionsExpire) {
  StoreChange change = New();
  change.ttl = seconds(1);
  change.writes = {{"a", "1", {}}};
  const SessionName brief{"brief", change.incarnation, change.token};
  ASSERT_EQ(Commit("brief", change).outcome, StoreOutcome::kDone);
  ASSERT_EQ(Commit("renewed", change).outcome, StoreOutcome::kDone);
  StoreQuery renewal;
  renewal.ttl = hours(1);
  ASSERT_TRUE(store().Query("renewed", renewal).ok());
  ASSERT_TRUE(store().Query("brief", {}).ok());
  ASSERT_TRUE(under_test_->Advance(seconds(1)));
  EXPECT_EQ(store().Query("brief", renewal).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().Snapshot("brief").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Commit("brief", Write(brief, "b", "2")).outcome, StoreOutcome::kAbsent);
  EXPECT_EQ(*store().EraseRange("brief", brief.incarnation, {}, {"", "z"}, 0, 10), 0u);
  EXPECT_FALSE(Exists("brief"));
  EXPECT_EQ(Get("renewed", "a").value, "1");
  EXPECT_EQ(*store().List("", "", 10), std::vector<std::string>{"renewed"});
  ASSERT_TRUE(store().RemoveExpired().ok());
  EXPECT_EQ(*store().Count(), 1u);
  Create("brief");
  EXPECT_EQ(Get("brief", "a").value, std::nullopt);
  EXPECT_EQ(*store().Count(), 2u);
}

// Whoever renews may not know that another renewal came before.
TEST_P(StoreConformanceTest, RenewalsOnlyProlong) {
  const SessionName session = Create("s");
  for (const int ttl : {3, 2}) {
    StoreQuery renewal;
    renewal.ttl = hours(ttl);
    const auto answer = store().Query("s", renewal);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_GT(answer->left, hours(3) - minutes(1));
    EXPECT_LE(answer->left, hours(3));
  }
  for (const int ttl : {5, 4}) {
    StoreChange change = ChangeOf(session);
    change.ttl = hours(ttl);
    EXPECT_EQ(Commit("s", change).token, session.token);
    EXPECT_GT(store().Query("s", {})->left, hours(5) - minutes(1));
    EXPECT_LE(store().Query("s", {})->left, hours(5));
  }
}

TEST_P(StoreConformanceTest, SessionsAreLimitedByTenantAndInAll) {
  const auto make = [this](const std::string& key, SessionLimit limit) {
    StoreChange change = New();
    change.makes = limit;
    return Commit(key, change);
  };
  EXPECT_EQ(make("red/a", {"red/", 2, 3}).outcome, StoreOutcome::kDone);
  EXPECT_EQ(make("red/b", {"red/", 2, 3}).outcome, StoreOutcome::kDone);
  const StoreResult tenant = make("red/c", {"red/", 2, 3});
  EXPECT_EQ(tenant.outcome, StoreOutcome::kTenantFull);
  EXPECT_EQ(tenant.count, 2u);
  EXPECT_EQ(make("blue/a", {"blue/", 2, 3}).outcome, StoreOutcome::kDone);
  const StoreResult all = make("blue/b", {"blue/", 2, 3});
  EXPECT_EQ(all.outcome, StoreOutcome::kFullOfSessions);
  EXPECT_EQ(all.count, 3u);
  EXPECT_FALSE(Exists("red/c"));
  EXPECT_FALSE(Exists("blue/b"));
  // What is there already is not refused, and what goes makes room.
  EXPECT_EQ(make("red/a", {"red/", 2, 3}).outcome, StoreOutcome::kConflict);
  const Token incarnation = store().Query("red/a", {})->incarnation;
  ASSERT_TRUE(store().Remove("red/a", incarnation, Token::Random()).ok());
  EXPECT_EQ(make("red/d", {"red/", 2, 3}).outcome, StoreOutcome::kDone);
}

TEST_P(StoreConformanceTest, ExpiredSessionsDoNotCount) {
  StoreChange change = New();
  change.makes = SessionLimit{"", 1, 1};
  change.ttl = seconds(1);
  EXPECT_EQ(Commit("a", change).outcome, StoreOutcome::kDone);
  ASSERT_TRUE(under_test_->Advance(seconds(1)));
  ASSERT_TRUE(store().RemoveExpired().ok());
  change.token = Token::Random();
  EXPECT_EQ(Commit("b", change).outcome, StoreOutcome::kDone);
}

TEST_P(StoreConformanceTest, ListsArePaged) {
  for (const char* key : {"red/b", "blue/a", "red/a", "red/c", "rose/a"}) Create(key);
  using Keys = std::vector<std::string>;
  EXPECT_EQ(*store().List("red/", "", 10), (Keys{"red/a", "red/b", "red/c"}));
  EXPECT_EQ(*store().List("red/", "red/a", 1), Keys{"red/b"});
  EXPECT_EQ(*store().List("red/", "red/c", 1), Keys{});
  EXPECT_EQ(*store().List("red/", "blue/z", 1), Keys{"red/a"});
  EXPECT_EQ(*store().List("", "", 10), (Keys{"blue/a", "red/a", "red/b", "red/c", "rose/a"}));
  EXPECT_EQ(*store().Count(), 5u);
}

TEST_P(StoreConformanceTest, TokensAreAnsweredTogether) {
  const SessionName a = Create("a");
  SessionName b = Create("b");
  StoreChange change = ChangeOf(b);
  change.parts = {{"document", "other"}};
  Make(b, change);
  const std::vector<std::string> keys{"b", "c", "a", "b"};
  const auto tokens = store().Tokens(keys);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(*tokens, (std::vector<Token>{b.token, {}, a.token, b.token}));
  EXPECT_TRUE(store().Tokens({})->empty());
}

TEST_P(StoreConformanceTest, AnyBytesAreNamesAndValues) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string key = std::string("tenant/{s}\0:\n", 13) + all.substr(128);
  SessionName session = Create(key, all);
  StoreChange change = ChangeOf(session);
  change.parts = {{all, all}, {"", "empty"}};
  change.writes = {{all, all + all, {}}, {std::string(1, '\0'), "zero", {}}};
  Make(session, change);
  EXPECT_EQ(Get(key, all).value, all + all);
  EXPECT_EQ(Get(key, std::string(1, '\0')).value, "zero");
  EXPECT_EQ(PartsOf(key), (Parts{{"document", all}, {all, all}, {"", "empty"}}));
  EXPECT_EQ(FieldsOf(key), (Fields{{all, all + all}, {std::string(1, '\0'), "zero"}}));
  EXPECT_EQ(store().List("tenant/", "", 10)->at(0), key);
}

}  // namespace
}  // namespace dropoutd
