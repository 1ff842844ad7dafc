// Changes of what a session is: parts, tokens, repeats.
#include <string>
#include <vector>

#include "tests/store/store_conformance.h"

namespace dropoutd {
namespace {

// What a copy is after an answer to a query that knew it.
Parts Updated(Parts copy, const StoreAnswer& answer) {
  if (answer.is_whole) copy.clear();
  for (const StorePart& part : answer.parts) {
    if (part.value.has_value()) {
      copy[part.name] = *part.value;
    } else {
      copy.erase(part.name);
    }
  }
  return copy;
}

TEST_P(StoreConformanceTest, PartsChangeTogetherOrNotAtAll) {
  SessionName session = Create("s", "one");
  StoreChange change = ChangeOf(session);
  change.parts = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  Make(session, change);
  EXPECT_EQ(session.token, change.token);
  const Token before = session.token;
  change = ChangeOf(session);
  change.parts = {{"a", "4"}, {"b", std::nullopt}, {"absent", std::nullopt}};
  Make(session, change);
  const Parts expected{{"document", "one"}, {"a", "4"}, {"c", "3"}};
  EXPECT_EQ(PartsOf("s"), expected);

  StoreChange late = ChangeOf(session);
  late.expected = before;
  late.parts = {{"a", "5"}};
  late.writes = {{"f", "6", {}}};
  const StoreResult refused = Commit("s", late);
  EXPECT_EQ(refused.outcome, StoreOutcome::kConflict);
  EXPECT_EQ(refused.token, session.token);
  EXPECT_TRUE(refused.exists);
  EXPECT_EQ(PartsOf("s"), expected);
  EXPECT_EQ(Get("s", "f").value, std::nullopt);
  late.expected.reset();  // Any will do.
  EXPECT_EQ(Commit("s", late).outcome, StoreOutcome::kDone);
  EXPECT_EQ(PartsOf("s")["a"], "5");
  EXPECT_EQ(Get("s", "f").value, "6");
}

TEST_P(StoreConformanceTest, QueriesAnswerWhatHasChanged) {
  SessionName session = Create("s");
  std::vector<Token> tokens{session.token};
  std::vector<Parts> copies{PartsOf("s")};
  for (int i = 0; i < 100; ++i) {
    StoreChange change = ChangeOf(session);
    change.parts = {{"part " + std::to_string(i % 7), std::to_string(i)},
                    {"part " + std::to_string(i % 5 + 2), std::nullopt}};
    if (i % 7 == i % 5 + 2) change.parts.pop_back();
    Make(session, change);
    tokens.push_back(session.token);
    copies.push_back(PartsOf("s"));
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    StoreQuery query;
    query.known = tokens[i];
    const auto answer = store().Query("s", query);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->token, session.token);
    EXPECT_EQ(Updated(copies[i], *answer), copies.back()) << i;
  }
  StoreQuery query;
  query.known = session.token;
  EXPECT_TRUE(store().Query("s", query)->parts.empty());
  EXPECT_FALSE(store().Query("s", query)->is_whole);
  query.known = tokens[tokens.size() - 2];
  EXPECT_FALSE(store().Query("s", query)->is_whole);
  for (const Token unknown : {Token(), Token::Random()}) {
    query.known = unknown;
    EXPECT_TRUE(store().Query("s", query)->is_whole);
  }
}

// A thousand names do not fit into what is remembered.
TEST_P(StoreConformanceTest, ManyPartsChangeAtOnce) {
  SessionName session = Create("s");
  const Token first = session.token;
  StoreChange change = ChangeOf(session);
  for (int i = 0; i < 1000; ++i) {
    change.parts.push_back({"a part with a long name " + std::to_string(i), "1"});
  }
  Make(session, change);
  const Token second = session.token;
  const Parts copy = PartsOf("s");
  EXPECT_EQ(copy.size(), 1001u);
  change = ChangeOf(session);
  change.parts = {{"document", "other"}};
  Make(session, change);
  for (const Token known : {first, second}) {
    StoreQuery query;
    query.known = known;
    const auto answer = store().Query("s", query);
    ASSERT_TRUE(answer.ok()) << answer.status();
    const Parts before = known == first ? Parts{{"document", "document"}} : copy;
    EXPECT_EQ(Updated(before, *answer), PartsOf("s"));
  }
}

TEST_P(StoreConformanceTest, RepeatsFindThemselves) {
  SessionName session = Create("s");
  StoreChange first = ChangeOf(session);
  first.parts = {{"a", "1"}};
  first.writes = {{"f", "1", {}}};
  Make(session, first);
  EXPECT_EQ(Commit("s", first).outcome, StoreOutcome::kDone);
  StoreChange second = ChangeOf(session);
  second.parts = {{"a", "2"}};
  second.writes = {{"f", "2", first.token}};
  Make(session, second);
  for (int i = 0; i < 10; ++i) {
    StoreChange other = ChangeOf(session);
    other.parts = {{"b", std::to_string(i)}};
    Make(session, other);
  }
  const StoreResult repeat = Commit("s", first);
  EXPECT_EQ(repeat.outcome, StoreOutcome::kDone);
  EXPECT_EQ(repeat.token, session.token);
  EXPECT_EQ(PartsOf("s")["a"], "2");
  EXPECT_EQ(Get("s", "f").value, "2");
}

TEST_P(StoreConformanceTest, RepeatsOfFieldsFindThemselves) {
  const SessionName session = Create("s");
  const StoreChange write = Write(session, "a", "1");
  EXPECT_EQ(Commit("s", write).outcome, StoreOutcome::kDone);
  EXPECT_EQ(Commit("s", write).outcome, StoreOutcome::kDone);
  const StoreChange removal = Write(session, "a", std::nullopt, write.token);
  EXPECT_EQ(Commit("s", removal).outcome, StoreOutcome::kDone);
  EXPECT_EQ(Commit("s", removal).outcome, StoreOutcome::kDone);
  // What another has removed or written since stays so.
  EXPECT_EQ(Commit("s", write).outcome, StoreOutcome::kOccupied);
  EXPECT_EQ(Get("s", "a").value, std::nullopt);
  EXPECT_EQ(Commit("s", Write(session, "a", "2", removal.token)).outcome, StoreOutcome::kDone);
  EXPECT_EQ(Commit("s", write).outcome, StoreOutcome::kOccupied);
  EXPECT_EQ(Commit("s", removal).outcome, StoreOutcome::kOccupied);
  EXPECT_EQ(Get("s", "a").value, "2");
}

TEST_P(StoreConformanceTest, RepeatsOfErasuresFindThemselves) {
  SessionName session = Create("s");
  Fill(session, {"a", "b", "c"});
  StoreChange erasure = ChangeOf(session);
  erasure.erases = {{"a", "c"}};
  EXPECT_EQ(Commit("s", erasure).count, 2u);
  session.token = erasure.token;
  Fill(session, {"a"});
  const StoreResult repeat = Commit("s", erasure);
  EXPECT_EQ(repeat.outcome, StoreOutcome::kDone);
  EXPECT_EQ(FieldsOf("s").size(), 2u);
}

}  // namespace
}  // namespace dropoutd
