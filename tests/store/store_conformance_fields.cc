// Fields: how they are written, removed, erased, staged and limited.
#include <chrono>
#include <string>
#include <vector>

#include "tests/store/store_conformance.h"

namespace dropoutd {
namespace {

using std::chrono::seconds;

TEST_P(StoreConformanceTest, FieldsAreWrittenOverWhatTheWriterKnows) {
  const SessionName session = Create("s");
  StoreChange first = ChangeOf(session);
  first.writes = {{"a", "1", {}}, {"b", "", {}}};
  const StoreResult made = Commit("s", first);
  EXPECT_EQ(made.outcome, StoreOutcome::kDone);
  EXPECT_EQ(made.token, session.token);  // Fields are not what the session is.
  EXPECT_EQ(Get("s", "a").value, "1");
  EXPECT_EQ(Get("s", "a").token, first.token);
  EXPECT_EQ(Get("s", "b").value, "");
  EXPECT_EQ(Get("s", "c").value, std::nullopt);
  EXPECT_FALSE(Get("s", "c").token);

  StoreChange second = ChangeOf(session);
  second.writes = {{"c", "2", {}}, {"a", "2", {}}, {"b", "2", first.token}};
  const StoreResult refused = Commit("s", second);
  EXPECT_EQ(refused.outcome, StoreOutcome::kOccupied);
  EXPECT_EQ(refused.found, (std::vector<Token>{{}, first.token, first.token}));
  EXPECT_EQ(FieldsOf("s"), (Fields{{"a", "1"}, {"b", ""}}));
  second.writes[1].replaces = first.token;
  EXPECT_EQ(Commit("s", second).outcome, StoreOutcome::kDone);
  EXPECT_EQ(FieldsOf("s"), (Fields{{"a", "2"}, {"b", "2"}, {"c", "2"}}));
  // One that expects what never was.
  EXPECT_EQ(Commit("s", Write(session, "d", "3", Token::Random())).outcome,
            StoreOutcome::kOccupied);

  StoreQuery query;
  query.known = session.token;
  query.fields = {"c", "d", "a"};
  const auto answer = store().Query("s", query);
  ASSERT_EQ(answer->fields.size(), 3u);
  EXPECT_EQ(answer->fields[0].value, "2");
  EXPECT_EQ(answer->fields[1].value, std::nullopt);
  EXPECT_EQ(answer->fields[2].token, second.token);
}

TEST_P(StoreConformanceTest, FieldsAreWrittenToTheSessionThatTheWriterKnows) {
  SessionName session = Create("s");
  const StoreChange late = Write(session, "a", "1");
  StoreChange change = ChangeOf(session);
  change.parts = {{"document", "other"}};
  Make(session, change);
  const StoreResult refused = Commit("s", late);
  EXPECT_EQ(refused.outcome, StoreOutcome::kConflict);
  EXPECT_EQ(refused.token, session.token);
  EXPECT_FALSE(Get("s", "a").token);
  StoreChange other = Write(session, "a", "1");
  other.incarnation = Token::Random();
  EXPECT_EQ(Commit("s", other).outcome, StoreOutcome::kAbsent);
  other.expected.reset();
  EXPECT_EQ(Commit("s", other).outcome, StoreOutcome::kAbsent);
}

TEST_P(StoreConformanceTest, RemovedFieldsLeaveTombstones) {
  const SessionName session = Create("s");
  Fill(session, {"a", "b"});
  const StoreChange removal = Write(session, "a", std::nullopt, Get("s", "a").token);
  EXPECT_EQ(Commit("s", removal).outcome, StoreOutcome::kDone);
  EXPECT_EQ(Get("s", "a").value, std::nullopt);
  EXPECT_EQ(Get("s", "a").token, removal.token);
  EXPECT_EQ(FieldsOf("s").size(), 1u);
  const StoreResult refused = Commit("s", Write(session, "a", "late"));
  EXPECT_EQ(refused.outcome, StoreOutcome::kOccupied);
  EXPECT_EQ(refused.found, std::vector<Token>{removal.token});
  EXPECT_EQ(Commit("s", Write(session, "a", "new", removal.token)).outcome, StoreOutcome::kDone);
  EXPECT_EQ(Get("s", "a").value, "new");
  // Of what never was, too.
  const StoreChange nothing = Write(session, "c", std::nullopt);
  EXPECT_EQ(Commit("s", nothing).outcome, StoreOutcome::kDone);
  EXPECT_EQ(Get("s", "c").token, nothing.token);

  if (!under_test_->Advance(seconds(60))) GTEST_SKIP() << "its clock cannot be moved";
  ASSERT_TRUE(store().RemoveExpired().ok());
  EXPECT_FALSE(Get("s", "c").token);
  EXPECT_EQ(Get("s", "a").value, "new");
  EXPECT_EQ(Commit("s", Write(session, "c", "3")).outcome, StoreOutcome::kDone);
}

TEST_P(StoreConformanceTest, TombstonesAreNoFields) {
  SessionName session = Create("s");
  Fill(session, {"f1", "f2", "f3"});
  Commit("s", Write(session, "f1", std::nullopt, Get("s", "f1").token));
  StoreChange limited = Write(session, "f4", "4");
  limited.limit = FieldLimit{{"f", "g"}, 3};
  EXPECT_EQ(Commit("s", limited).outcome, StoreOutcome::kDone);
  EXPECT_EQ(FieldsOf("s").size(), 3u);
  EXPECT_EQ(*store().EraseRange("s", session.incarnation, {}, {"f", "g"}, 2, 10), 1u);
  EXPECT_EQ(Get("s", "f2").value, std::nullopt);
  StoreChange erasure = ChangeOf(session);
  erasure.erases = {{"f", "g"}};
  EXPECT_EQ(Commit("s", erasure).count, 2u);
}

TEST_P(StoreConformanceTest, FieldsOfARangeAreLimited) {
  const SessionName session = Create("s");
  Fill(session, {"e", "f1", "f2", "g"});
  const auto limited = [&](StoreChange change) {
    change.limit = FieldLimit{{"f", "g"}, 2};
    return Commit("s", change);
  };
  StoreChange full = Write(session, "f3", "3");
  full.writes.push_back({"h", "3", {}});
  EXPECT_EQ(limited(full).outcome, StoreOutcome::kFull);
  EXPECT_EQ(limited(full).count, 2u);
  EXPECT_FALSE(Get("s", "h").token);
  EXPECT_EQ(limited(Write(session, "h", "3")).outcome, StoreOutcome::kDone);
  // To replace one, or to remove as many, adds none.
  EXPECT_EQ(limited(Write(session, "f1", "3", Get("s", "f1").token)).outcome, StoreOutcome::kDone);
  StoreChange swap = Write(session, "f3", "3");
  swap.writes.push_back({"f2", std::nullopt, Get("s", "f2").token});
  EXPECT_EQ(limited(swap).outcome, StoreOutcome::kDone);
  StoreChange erasure = Write(session, "f4", "4");
  erasure.erases = {{"f1", "f2"}};
  EXPECT_EQ(limited(erasure).outcome, StoreOutcome::kDone);
  EXPECT_EQ(FieldsOf("s").size(), 5u);
}

TEST_P(StoreConformanceTest, ErasuresLeaveNoTraceAndAnotherToken) {
  SessionName session = Create("s");
  Fill(session, {"a", "b", "c", "d", "e"});
  const StoreChange late = Write(session, "b", "late");
  StoreChange erasure = ChangeOf(session);
  erasure.erases = {{"b", "c"}, {"d", "f"}};
  erasure.most_erased = 2;
  const StoreResult refused = Commit("s", erasure);
  EXPECT_EQ(refused.outcome, StoreOutcome::kTooMany);
  EXPECT_EQ(refused.count, 3u);
  EXPECT_EQ(FieldsOf("s").size(), 5u);
  EXPECT_EQ(TokenOf("s"), session.token);
  erasure.most_erased = 3;
  const StoreResult made = Commit("s", erasure);
  EXPECT_EQ(made.outcome, StoreOutcome::kDone);
  EXPECT_EQ(made.count, 3u);
  EXPECT_EQ(made.token, erasure.token);
  EXPECT_EQ(TokenOf("s"), erasure.token);
  EXPECT_EQ(FieldsOf("s"), (Fields{{"a", "value of a"}, {"c", "value of c"}}));
  EXPECT_FALSE(Get("s", "b").token);
  EXPECT_EQ(Commit("s", late).outcome, StoreOutcome::kConflict);
  // Also where there is nothing to erase.
  StoreChange nothing = ChangeOf(session);
  nothing.expected.reset();
  nothing.erases = {{"x", "y"}};
  EXPECT_EQ(Commit("s", nothing).count, 0u);
  EXPECT_EQ(TokenOf("s"), nothing.token);
}

TEST_P(StoreConformanceTest, RangesAreErasedFromTheirBeginning) {
  SessionName session = Create("s");
  std::vector<std::string> names{"e", "g"};
  for (const int i : {9, 3, 200, 0, 255, 7, 128}) names.push_back(std::string("f") + char(i));
  Fill(session, names);
  const FieldRange all{"f", "g"};
  const auto erase = [&](std::optional<Token> expected, std::size_t keep, std::size_t most) {
    return *store().EraseRange("s", session.incarnation, expected, all, keep, most);
  };
  EXPECT_EQ(erase({}, 7, 100), 0u);
  EXPECT_EQ(erase(Token::Random(), 0, 100), 0u);
  EXPECT_EQ(*store().EraseRange("s", Token::Random(), {}, all, 0, 100), 0u);
  EXPECT_EQ(*store().EraseRange("s", session.incarnation, {}, {"g", "f"}, 0, 100), 0u);
  EXPECT_EQ(FieldsOf("s").size(), 9u);
  EXPECT_EQ(erase(session.token, 0, 1), 1u);
  EXPECT_FALSE(Get("s", std::string("f\0", 2)).token);
  EXPECT_EQ(erase({}, 3, 100), 3u);
  EXPECT_FALSE(Get("s", "f\x09").token);
  EXPECT_TRUE(Get("s", "f\x80").token);
  EXPECT_EQ(erase({}, 0, 100), 3u);
  EXPECT_EQ(FieldsOf("s").size(), 2u);
  EXPECT_EQ(TokenOf("s"), session.token);
}

TEST_P(StoreConformanceTest, StagedFieldsAreOfTheSessionThatClaimsThem) {
  StoreChange making = New();
  const auto stage = [&](std::vector<StoreField> fields, Token incarnation) {
    const absl::Status status = store().Stage("s", incarnation, std::move(fields));
    EXPECT_TRUE(status.ok()) << status;
  };
  stage({{"a", "1", {}}, {"b", "old", {}}}, making.incarnation);
  stage({{"b", "2", {}}, {"c", "", {}}}, making.incarnation);
  stage({{"d", "4", {}}}, Token::Random());
  EXPECT_FALSE(Exists("s"));
  EXPECT_EQ(*store().Count(), 0u);
  EXPECT_TRUE(store().List("", "", 10)->empty());
  // A refusal takes none of them.
  making.makes->most = 0;
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kFullOfSessions);
  making.makes->most = 1;
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kDone);
  EXPECT_EQ(FieldsOf("s"), (Fields{{"a", "1"}, {"b", "2"}, {"c", ""}}));
  EXPECT_EQ(Get("s", "b").token, making.token);
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kDone);
  EXPECT_EQ(FieldsOf("s").size(), 3u);
}

TEST_P(StoreConformanceTest, ASessionIsNotMadeWithoutAllThatWasStagedForIt) {
  StoreChange making = New();
  making.staged = 1;
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kStagedLost);
  ASSERT_TRUE(store().Stage("s", making.incarnation, {{"a", "1", {}}, {"b", "2", {}}}).ok());
  ASSERT_TRUE(store().Stage("s", making.incarnation, {{"c", "3", {}}}).ok());
  making.staged = 4;
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kStagedLost);
  EXPECT_FALSE(Exists("s"));
  making.staged = 3;
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kDone);
  EXPECT_EQ(FieldsOf("s"), (Fields{{"a", "1"}, {"b", "2"}, {"c", "3"}}));
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kDone);  // A repeat finds itself.
  // What one session has taken no other gets.
  ASSERT_EQ(store().Remove("s", making.incarnation, Token::Random())->outcome, StoreOutcome::kDone);
  making.token = Token::Random();
  making.expected.reset();
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kStagedLost);
}

TEST_P(StoreConformanceTest, UnclaimedFieldsGo) {
  StoreChange making = New();
  ASSERT_TRUE(store().Stage("s", making.incarnation, {{"a", "1", {}}}).ok());
  if (!under_test_->Advance(seconds(90))) GTEST_SKIP() << "its clock cannot be moved";
  ASSERT_TRUE(store().RemoveExpired().ok());
  making.staged = 1;
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kStagedLost);
  making.staged = 0;
  EXPECT_EQ(Commit("s", making).outcome, StoreOutcome::kDone);
  EXPECT_TRUE(FieldsOf("s").empty());
}

TEST_P(StoreConformanceTest, ValuesMayBeLarge) {
  SessionName session = Create("s");
  std::string large(std::size_t{10} << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) {
    large[i] = static_cast<char>(i * 2654435761u >> 13);
  }
  StoreChange change = Write(session, "large", large);
  change.parts = {{"large", large}};
  Make(session, change);
  EXPECT_TRUE(Get("s", "large").value == large);
  EXPECT_TRUE(PartsOf("s")["large"] == large);
  EXPECT_TRUE(FieldsOf("s")["large"] == large);
}

}  // namespace
}  // namespace dropoutd
