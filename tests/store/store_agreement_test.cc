// Random changes of two stores at once: whatever is asked, they answer alike.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "server/store/memory_store.h"
#include "server/store/sqlite_store.h"
#include "tests/store/store_conformance.h"
#include "tests/store/stores_under_test.h"

namespace dropoutd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Text(Token token) { return token ? std::to_string(token.low % 100'000) : "none"; }

std::string Text(const absl::StatusOr<StoreResult>& result) {
  if (!result.ok()) return result.status().ToString();
  std::string text = testing::PrintToString(result->outcome) + " " + Text(result->token) +
                     (result->exists ? " exists" : "") + " " + std::to_string(result->count);
  for (const Token token : result->found) text += " " + Text(token);
  return text;
}

std::string Text(const StoreField& field) {
  return " " + field.name + "=" + field.value.value_or("-") + "/" + Text(field.token);
}

std::string Text(const absl::StatusOr<StoreAnswer>& answer) {
  if (!answer.ok()) return answer.status().ToString();
  std::string text = Text(answer->incarnation) + " " + Text(answer->token) + " " +
                     std::to_string(answer->left.count()) + (answer->is_whole ? " whole" : "");
  for (const StorePart& part : answer->parts)
    text += " " + part.name + ":" + part.value.value_or("-");
  for (const StoreField& field : answer->fields) text += Text(field);
  return text;
}

std::string Text(const absl::StatusOr<std::unique_ptr<StoreSnapshot>>& snapshot) {
  if (!snapshot.ok()) return snapshot.status().ToString();
  std::string text = Text(absl::StatusOr<StoreAnswer>((*snapshot)->session()));
  while (true) {
    const auto fields = (*snapshot)->Next(3);
    if (!fields.ok()) return fields.status().ToString();
    if (fields->empty()) return text;
    for (const StoreField& field : *fields) text += Text(field);
  }
}

class StoreAgreementTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  StoreAgreementTest() {
    SqliteOptions options;
    options.now = [this] { return clock_.Now(); };
    sqlite_ = SqliteStore::Open(folder_.File("sessions.db"), options).value();
  }

  std::size_t Below(std::size_t end) { return random_() % end; }
  bool Maybe(std::size_t one_in) { return Below(one_in) == 0; }
  std::string Key() { return std::string(Maybe(2) ? "red/" : "blue/") + char('a' + Below(3)); }
  std::string Name() { return std::string(1, char('a' + Below(8))); }
  FieldRange Range() { return {Name(), Name()}; }
  // One that is in use, or was, or never.
  Token SomeToken() {
    if (tokens_.empty() || Maybe(8)) return Maybe(2) ? Token() : Token::Random();
    const std::size_t recent = std::min<std::size_t>(tokens_.size(), 12);
    return tokens_[tokens_.size() - 1 - Below(recent)];
  }
  Token NewToken() {
    tokens_.push_back(Token::Random());
    return tokens_.back();
  }

  // Mostly one that fits what is there.
  StoreChange SomeChange(const std::string& key) {
    if (!changes_.empty() && Maybe(8)) return changes_[Below(changes_.size())];
    StoreQuery query;
    for (char name = 'a'; name < 'i'; ++name) query.fields.emplace_back(1, name);
    const auto there = memory_.Query(key, query);
    StoreChange change;
    change.token = NewToken();
    change.incarnation = there.ok() && !Maybe(8) ? there->incarnation : NewToken();
    if (!Maybe(3)) change.expected = there.ok() && !Maybe(6) ? there->token : SomeToken();
    if (!there.ok() || Maybe(20)) {
      change.makes = SessionLimit{Maybe(2) ? "red/" : "blue/", 1 + Below(3), 2 + Below(4)};
      change.ttl = seconds(1 + Below(60));
      if (Maybe(2)) change.expected.reset();
      if (Maybe(2)) change.incarnation = incarnations_[Below(3)];
    } else if (Maybe(4)) {
      for (std::size_t i = 0; i <= Below(2); ++i) change.erases.push_back(Range());
      change.most_erased = Below(5);
    }
    if (Maybe(3)) change.parts.push_back({Name(), Value()});
    for (std::size_t at = Below(8), i = 0; i < Below(4); ++i, at = (at + 1) % 8) {
      const Token found = there.ok() ? there->fields[at].token : Token();
      change.writes.push_back({query.fields[at], Value(), Maybe(8) ? SomeToken() : found});
    }
    if (Maybe(3)) change.limit = FieldLimit{Maybe(2) ? FieldRange{"a", "e"} : Range(), Below(5)};
    if (Maybe(3)) change.ttl = seconds(Below(60));
    changes_.push_back(change);
    return change;
  }
  std::optional<std::string> Value() {
    if (Maybe(4)) return std::nullopt;
    return std::to_string(Below(100));
  }

  void Step();

  std::mt19937 random_{GetParam()};
  TemporaryFolder folder_;
  StoreClock clock_;
  MemoryStore memory_{[this] { return clock_.Now(); }};
  std::unique_ptr<SqliteStore> sqlite_;
  std::vector<Token> tokens_;
  const std::vector<Token> incarnations_{Token::Random(), Token::Random(), Token::Random()};
  std::vector<StoreChange> changes_;
};

void StoreAgreementTest::Step() {
  const std::string key = Key();
  const auto both = [&](auto ask) { ASSERT_EQ(Text(ask(memory_)), Text(ask(*sqlite_))); };
  const auto there = memory_.Query(key, {});
  const Token incarnation = there.ok() && !Maybe(6) ? there->incarnation : SomeToken();
  switch (Below(12)) {
    case 0: {
      StoreQuery query;
      query.known = SomeToken();
      for (std::size_t i = 0; i < Below(4); ++i) query.fields.push_back(Name());
      if (Maybe(2)) query.ttl = seconds(Below(60));
      return both([&](Store& store) { return store.Query(key, query); });
    }
    case 1:
      return both([&](Store& store) { return store.Snapshot(key); });
    case 2: {
      const Token token = Maybe(6) ? SomeToken() : NewToken();
      if (!Maybe(3) || !token) return;
      return both([&](Store& store) { return store.Remove(key, incarnation, token); });
    }
    case 3: {
      std::optional<Token> expected;
      if (Maybe(2)) expected = there.ok() && Maybe(2) ? there->token : SomeToken();
      const FieldRange range = Range();
      const std::size_t keep = Below(3);
      const std::size_t most = Below(4);
      const auto erase = [&](Store& store) {
        return store.EraseRange(key, incarnation, expected, range, keep, most);
      };
      ASSERT_EQ(erase(memory_), erase(*sqlite_));
      return;
    }
    case 4: {
      const Token staged = incarnations_[Below(3)];
      const std::string name = Name();
      for (Store* store : {static_cast<Store*>(&memory_), static_cast<Store*>(sqlite_.get())}) {
        ASSERT_TRUE(store->Stage(key, staged, {{name, "staged", {}}}).ok());
      }
      return;
    }
    case 5:
      clock_.Advance(milliseconds(Below(20'000)));
      if (Maybe(2)) return;
      ASSERT_TRUE(memory_.RemoveExpired().ok() && sqlite_->RemoveExpired().ok());
      ASSERT_EQ(*memory_.Count(), *sqlite_->Count());
      ASSERT_EQ(*memory_.List("", "", 9), *sqlite_->List("", "", 9));
      ASSERT_EQ(*memory_.Tokens({key}), *sqlite_->Tokens({key}));
      return;
    default: {
      const StoreChange change = SomeChange(key);
      return both([&](Store& store) { return store.Commit(key, change); });
    }
  }
}

TEST_P(StoreAgreementTest, MemoryAndSqliteAnswerAlike) {
  for (int step = 0; step < 2000 && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    Step();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreAgreementTest, testing::Range(1u, 9u));

}  // namespace
}  // namespace dropoutd
