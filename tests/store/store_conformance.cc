#include "tests/store/store_conformance.h"

#include <utility>

namespace dropoutd {

StoreChange StoreConformanceTest::New(const std::string& document) {
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = Token::Random();
  change.makes = SessionLimit{"", 1'000'000, 1'000'000};
  change.parts = {{"document", document}};
  change.ttl = std::chrono::hours(1);
  return change;
}

StoreChange StoreConformanceTest::ChangeOf(const SessionName& session) {
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = session.incarnation;
  change.expected = session.token;
  return change;
}

StoreChange StoreConformanceTest::Write(const SessionName& session, const std::string& name,
                                        std::optional<std::string> value, Token replaces) {
  StoreChange change = ChangeOf(session);
  change.writes = {{name, std::move(value), replaces}};
  return change;
}

SessionName StoreConformanceTest::Create(const std::string& key, const std::string& document) {
  const StoreChange change = New(document);
  SessionName session{key, change.incarnation, {}};
  Make(session, change);
  return session;
}

StoreResult StoreConformanceTest::Commit(const std::string& key, const StoreChange& change) {
  const auto result = store().Commit(key, change);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : StoreResult();
}

void StoreConformanceTest::Make(SessionName& session, const StoreChange& change) {
  const StoreResult result = Commit(session.key, change);
  EXPECT_EQ(result.outcome, StoreOutcome::kDone);
  EXPECT_TRUE(result.token);
  session.token = result.token;
}

void StoreConformanceTest::Fill(const SessionName& session, const std::vector<std::string>& names) {
  StoreChange change = ChangeOf(session);
  for (const std::string& name : names) change.writes.push_back({name, "value of " + name, {}});
  EXPECT_EQ(Commit(session.key, change).outcome, StoreOutcome::kDone);
}

StoreField StoreConformanceTest::Get(const std::string& key, const std::string& name) {
  StoreQuery query;
  query.fields = {name};
  const auto answer = store().Query(key, query);
  EXPECT_TRUE(answer.ok()) << answer.status();
  if (!answer.ok() || answer->fields.size() != 1) return {};
  EXPECT_EQ(answer->fields[0].name, name);
  return answer->fields[0];
}

Token StoreConformanceTest::TokenOf(const std::string& key) {
  const auto tokens = store().Tokens({key});
  EXPECT_TRUE(tokens.ok()) << tokens.status();
  return tokens.ok() && tokens->size() == 1 ? tokens->front() : Token();
}

Parts StoreConformanceTest::PartsOf(const std::string& key) {
  Parts parts;
  const auto answer = store().Query(key, {});
  EXPECT_TRUE(answer.ok()) << answer.status();
  if (!answer.ok()) return parts;
  EXPECT_TRUE(answer->is_whole);
  for (const StorePart& part : answer->parts) parts[part.name] = part.value.value_or("(none)");
  return parts;
}

Fields StoreConformanceTest::FieldsOf(const std::string& key) {
  const auto snapshot = store().Snapshot(key);
  EXPECT_TRUE(snapshot.ok()) << snapshot.status();
  return snapshot.ok() ? Rest(**snapshot, 100) : Fields();
}

Fields Rest(StoreSnapshot& snapshot, std::size_t limit) {
  Fields fields;
  while (true) {
    const auto some = snapshot.Next(limit);
    EXPECT_TRUE(some.ok()) << some.status();
    if (!some.ok() || some->empty()) return fields;
    for (const StoreField& field : *some) {
      EXPECT_TRUE(fields.empty() || fields.rbegin()->first < field.name) << field.name;
      EXPECT_TRUE(field.token) << field.name;
      fields[field.name] = field.value.value_or("(none)");
    }
  }
}

}  // namespace dropoutd
