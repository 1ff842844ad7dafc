// Snapshots: a session as it is at one moment.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/store/store_conformance.h"

namespace dropoutd {
namespace {

std::vector<std::string> Names(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("f" + std::to_string(1000 + i));
  return names;
}

void Read(StoreSnapshot& snapshot, std::size_t limit, Fields& read) {
  const auto fields = snapshot.Next(limit);
  ASSERT_TRUE(fields.ok()) << fields.status();
  EXPECT_FALSE(fields->empty());
  for (const StoreField& field : *fields) read[field.name] = field.value.value_or("(none)");
}

TEST_P(StoreConformanceTest, ASnapshotIsTheWholeSession) {
  SessionName session = Create("s");
  StoreChange change = ChangeOf(session);
  change.parts = {{"a", "1"}};
  change.writes = {{"f", "2", {}}};
  Make(session, change);
  Commit("s", Write(session, "gone", std::nullopt));
  const auto snapshot = store().Snapshot("s");
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  const StoreAnswer& answer = (*snapshot)->session();
  EXPECT_EQ(answer.incarnation, session.incarnation);
  EXPECT_EQ(answer.token, session.token);
  EXPECT_GT(answer.left, std::chrono::minutes(59));
  EXPECT_TRUE(answer.is_whole);
  EXPECT_EQ(answer.parts.size(), 2u);
  EXPECT_TRUE(answer.fields.empty());
  const auto fields = (*snapshot)->Next(10);
  ASSERT_EQ(fields->size(), 1u);
  EXPECT_EQ(fields->front().name, "f");
  EXPECT_EQ(fields->front().value, "2");
  EXPECT_EQ(fields->front().token, change.token);
  EXPECT_TRUE((*snapshot)->Next(10)->empty());
  EXPECT_TRUE((*snapshot)->Next(10)->empty());
}

TEST_P(StoreConformanceTest, ASnapshotStandsStill) {
  SessionName session = Create("s");
  Fill(session, Names(300));
  const Fields before = FieldsOf("s");
  ASSERT_EQ(before.size(), 300u);
  const auto snapshot = store().Snapshot("s");
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  Fields read;
  Read(**snapshot, 50, read);

  const Token old = Get("s", "f1000").token;
  StoreChange change = ChangeOf(session);
  change.parts = {{"document", "other"}};
  for (const char* name : {"f1001", "f1100", "f1299"}) {
    change.writes.push_back({name, "new", old});
  }
  change.writes.push_back({"f1150", std::nullopt, old});
  change.writes.push_back({"f1000+", "added", {}});
  change.writes.push_back({"f1200+", "added", {}});
  change.erases = {{"f1160", "f1170"}};
  Make(session, change);
  // Written twice: the first value is the one that counts.
  Commit("s", Write(session, "f1100", "newer", change.token));
  Commit("s", Write(session, "f1150", "again", change.token));
  EXPECT_EQ(*store().EraseRange("s", session.incarnation, {}, {"f1180", "f1190"}, 0, 100), 10u);
  Read(**snapshot, 100, read);

  ASSERT_TRUE(store().Remove("s", session.incarnation, Token::Random()).ok());
  read.merge(Rest(**snapshot, 7));
  EXPECT_EQ(read, before);
  EXPECT_EQ((*snapshot)->session().parts[0].value, "document");
}

// One that another session has taken the place of.
TEST_P(StoreConformanceTest, ASnapshotOutlivesItsSession) {
  const SessionName session = Create("s");
  Fill(session, Names(100));
  const auto snapshot = store().Snapshot("s");
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  const Token removal = Token::Random();
  ASSERT_TRUE(store().Remove("s", session.incarnation, removal).ok());
  StoreChange again = New();
  again.expected = removal;
  again.writes = {{"f1000", "of another", {}}};
  EXPECT_EQ(Commit("s", again).outcome, StoreOutcome::kDone);
  const Fields fields = Rest(**snapshot, 30);
  EXPECT_EQ(fields.size(), 100u);
  EXPECT_EQ(fields.at("f1000"), "value of f1000");
}

TEST_P(StoreConformanceTest, SnapshotsAreOfTheirOwnMoments) {
  const SessionName session = Create("s");
  Token last;
  std::vector<std::unique_ptr<StoreSnapshot>> snapshots;
  for (int i = 0; i < 8; ++i) {
    const StoreChange change = Write(session, "a", std::to_string(i), last);
    EXPECT_EQ(Commit("s", change).outcome, StoreOutcome::kDone);
    last = change.token;
    auto snapshot = store().Snapshot("s");
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    snapshots.push_back(*std::move(snapshot));
  }
  for (int i = 7; i >= 0; --i) {
    EXPECT_EQ(Rest(*snapshots[static_cast<std::size_t>(i)], 10)["a"], std::to_string(i));
  }
}

TEST_P(StoreConformanceTest, SnapshotsThatEndLeaveRoom) {
  const SessionName session = Create("s");
  Fill(session, Names(10));
  for (int i = 0; i < 30; ++i) {
    const auto snapshot = store().Snapshot("s");
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_EQ((*snapshot)->Next(3)->size(), 3u);
  }
  EXPECT_EQ(FieldsOf("s").size(), 10u);
}

// Each change writes all of a few fields: no snapshot has one of them without the others.
TEST_P(StoreConformanceTest, SnapshotsAreOfOneMomentWhileOthersWriteAndErase) {
  SessionName session = Create("s");
  Fill(session, Names(200));
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    Token last = Get("s", "f1000").token;
    for (int i = 0; !stop; ++i) {
      StoreChange change = ChangeOf(session);
      for (const char* name : {"f1000", "f1060", "f1130", "f1199"}) {
        change.writes.push_back({name, std::to_string(i), last});
      }
      ASSERT_EQ(Commit("s", change).outcome, StoreOutcome::kDone);
      last = change.token;
    }
  });
  std::thread eraser([&] {
    for (int i = 0; !stop; ++i) {
      // Both or neither.
      StoreChange pair = ChangeOf(session);
      const std::string number = std::to_string(100'000 + i);
      pair.writes = {{"a" + number, number, {}}, {"z" + number, number, {}}};
      ASSERT_EQ(Commit("s", pair).outcome, StoreOutcome::kDone);
      if (i % 2 == 0) continue;
      pair.writes = {{"a" + number, std::nullopt, pair.token},
                     {"z" + number, std::nullopt, pair.token}};
      pair.token = Token::Random();
      ASSERT_EQ(Commit("s", pair).outcome, StoreOutcome::kDone);
      ASSERT_TRUE(store().EraseRange("s", session.incarnation, {}, {"f1070", "f1120"}, 0, 1).ok());
    }
  });
  for (int round = 0; round < 20; ++round) {
    const auto snapshot = store().Snapshot("s");
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    if (!snapshot.ok()) break;
    Fields fields = Rest(**snapshot, 20);
    const bool is_first = fields["f1000"] == "value of f1000";
    for (const std::string name : {"f1060", "f1130", "f1199"}) {
      EXPECT_EQ(fields[name], is_first ? "value of " + name : fields["f1000"]);
    }
    for (const auto& [name, value] : fields) {
      if (name[0] == 'f') continue;
      EXPECT_TRUE(fields.contains((name[0] == 'a' ? "z" : "a") + value)) << name;
    }
  }
  stop = true;
  writer.join();
  eraser.join();
}

}  // namespace
}  // namespace dropoutd
