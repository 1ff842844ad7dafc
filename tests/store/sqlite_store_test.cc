// SQLite: the conformance suite, and what can befall a file.
#include "server/store/sqlite_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "tests/store/sqlite_test.h"

namespace dropoutd {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::seconds;

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformanceTest, testing::Values(MakeStoreKind("Sqlite")),
                         [](const auto& kind) { return kind.param.name; });

TEST_F(SqliteStoreTest, WhatIsCommittedIsThereAgain) {
  StoreChange change = New("document");
  {
    const auto store = Open();
    ASSERT_TRUE(store->Stage("s", change.incarnation, {{"staged", "2", {}}}).ok());
    change.writes = {{"a", "1", {}}};
    ASSERT_TRUE(IsDone(store->Commit("s", change)));
  }
  const auto store = Open();
  EXPECT_EQ(*store->Count(), 1u);
  StoreQuery query;
  query.fields = {"a", "staged"};
  const auto answer = store->Query("s", query);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->incarnation, change.incarnation);
  EXPECT_EQ(answer->token, change.token);
  EXPECT_EQ(answer->parts.at(0).value, "document");
  EXPECT_EQ(answer->fields[0].value, "1");
  EXPECT_EQ(answer->fields[1].value, "2");
  for (const StoreField& field : answer->fields) EXPECT_EQ(field.token, change.token);
}

// A child commits until it is killed; it says of each change that it was acknowledged.
TEST_F(SqliteStoreTest, NothingAcknowledgedIsLostWhenTheProcessIsKilled) {
  for (int round = 0; round < 8; ++round) {
    fs::remove(path_);
    fs::remove(path_ + "-wal");
    fs::remove(path_ + "-shm");
    int said[2];
    ASSERT_EQ(pipe(said), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto store = SqliteStore::Open(path_);
      const StoreChange making = New("d");
      if (!store.ok() || !IsDone((*store)->Commit("s", making))) _exit(1);
      for (std::uint32_t i = 0;; ++i) {
        const auto change = Field(making, std::to_string(i), std::string(500, 'x'));
        if (!IsDone((*store)->Commit("s", change))) _exit(1);
        if (write(said[1], &i, sizeof(i)) != sizeof(i)) _exit(1);
      }
    }
    close(said[1]);
    // The moment is another one in each round.
    std::uint32_t last = 0;
    const auto wanted = static_cast<std::uint32_t>(50 + 97 * round);
    while (last < wanted && read(said[0], &last, sizeof(last)) == sizeof(last)) {
    }
    kill(child, SIGKILL);
    std::uint32_t more;
    while (read(said[0], &more, sizeof(more)) == sizeof(more)) last = more;
    close(said[0]);
    waitpid(child, nullptr, 0);
    ASSERT_GE(last, wanted);
    const auto store = Open();
    ASSERT_NE(store, nullptr);
    StoreQuery query;
    for (std::uint32_t i = 0; i <= last; ++i) query.fields.push_back(std::to_string(i));
    const auto answer = store->Query("s", query);
    ASSERT_TRUE(answer.ok()) << answer.status();
    for (const StoreField& field : answer->fields) {
      EXPECT_EQ(field.value, std::string(500, 'x')) << field.name;
    }
  }
}

TEST_F(SqliteStoreTest, ASecondServerIsRefusedByAnyName) {
  const auto store = Open();
  const std::string symbolic = folder_.File("symbolic.db");
  const std::string hard = folder_.File("hard.db");
  fs::create_symlink(path_, symbolic);
  fs::create_hard_link(path_, hard);
  // Twice: a refusal takes nothing from who has the lock.
  for (const std::string& name : {path_, symbolic, hard, path_, symbolic, hard}) {
    const auto second = SqliteStore::Open(name);
    EXPECT_EQ(ReasonText(second.status()), "STORE_UNAVAILABLE") << name;
    EXPECT_NE(second.status().message().find("another dropoutd"), std::string::npos) << name;
  }
  EXPECT_TRUE(store->Check().ok());
}

// Another process: what SQLite itself locks and closes there does not matter.
TEST_F(SqliteStoreTest, ASecondProcessIsRefusedByAnyName) {
  const std::string hard = folder_.File("hard.db");
  Open();
  fs::create_hard_link(path_, hard);
  const auto store = Open();
  ASSERT_TRUE(store->Check().ok());
  EXPECT_EQ(InChild([&] {
              const absl::Status refused = SqliteStore::Open(hard).status();
              return refused.message().find("another dropoutd") != std::string::npos ? 0 : 1;
            }),
            0);
}

TEST_F(SqliteStoreTest, ASymbolicLinkIsTheFile) {
  const std::string symbolic = folder_.File("symbolic.db");
  fs::create_symlink(path_, symbolic);
  {
    const auto store = SqliteStore::Open(symbolic);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE(IsDone((*store)->Commit("s", New("document"))));
  }
  EXPECT_EQ(*Open()->Count(), 1u);
}

TEST_F(SqliteStoreTest, ANewerSchemaIsRefused) {
  Open();
  Meddle("PRAGMA user_version = 3");
  const auto store = SqliteStore::Open(path_);
  EXPECT_NE(store.status().message().find("newer"), std::string::npos) << store.status();
}

TEST_F(SqliteStoreTest, OtherFilesAreRefused) {
  std::ofstream(path_) << std::string(10'000, 'x');
  EXPECT_EQ(ReasonText(SqliteStore::Open(path_).status()), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(SqliteStore::Open(folder_.File("missing/file")).status()),
            "STORE_UNAVAILABLE");
  fs::remove(path_);
  Meddle("CREATE TABLE theirs(a)");
  const auto store = SqliteStore::Open(path_);
  EXPECT_NE(store.status().message().find("another program"), std::string::npos) << store.status();
}

// What a session has left is what it had when the server went, whatever the clocks have done.
TEST_F(SqliteStoreTest, TimeSpentDownDoesNotCount) {
  SqliteOptions options;
  std::chrono::steady_clock::time_point now{hours(1000)};
  options.now = [&now] { return now; };
  StoreChange change = New("document");
  change.ttl = seconds(100);
  {
    const auto store = Open(options);
    ASSERT_TRUE(IsDone(store->Commit("s", change)));
    now += seconds(40);
  }
  now = std::chrono::steady_clock::time_point{hours(3)};
  options.wall_now = [] { return std::chrono::system_clock::time_point{hours(1'000'000)}; };
  const auto store = Open(options);
  EXPECT_EQ(store->Query("s", {})->left, seconds(60));
  now += seconds(60);
  EXPECT_EQ(store->Query("s", {}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SqliteStoreTest, SnapshotsAreBounded) {
  const auto store = Open();
  ASSERT_TRUE(IsDone(store->Commit("s", New("document"))));
  std::vector<std::unique_ptr<StoreSnapshot>> snapshots;
  for (int i = 0; i < 8; ++i) snapshots.push_back(store->Snapshot("s").value());
  EXPECT_EQ(ReasonText(store->Snapshot("s").status()), "STORE_UNAVAILABLE");
  snapshots.pop_back();
  EXPECT_TRUE(store->Snapshot("s").ok());
}

// Not in one transaction, for which the others would wait.
TEST_F(SqliteStoreTest, ALargeSessionGoesInPieces) {
  const auto store = Open();
  StoreChange change = New("document");
  for (int i = 0; i < 5000; ++i) change.writes.push_back({std::to_string(i), "value", {}});
  ASSERT_TRUE(IsDone(store->Commit("s", change)));
  ASSERT_TRUE(IsDone(store->Remove("s", change.incarnation, Token::Random())));
  EXPECT_EQ(*store->Count(), 0u);
  EXPECT_EQ(Integer("SELECT count(*) FROM fields"), 4000);
  EXPECT_TRUE(IsDone(store->Commit("s", New("another"))));
  ASSERT_TRUE(store->RemoveExpired().ok());
  EXPECT_EQ(Integer("SELECT count(*) FROM fields"), 0);
  EXPECT_EQ(Integer("SELECT count(*) FROM sessions"), 1);
  EXPECT_EQ(*store->Count(), 1u);
}

TEST_F(SqliteStoreTest, ManySessionsAreOpenedAtOnce) {
  const char* const wanted = std::getenv("DROPOUTD_STORE_SESSIONS");
  const int sessions = wanted != nullptr ? std::atoi(wanted) : 20'000;
  {
    const auto store = Open();
    std::atomic<int> left = sessions;
    std::promise<void> done;
    for (int i = 0; i < sessions; ++i) {
      store->StartCommit("session " + std::to_string(i), New(std::string(300, 'd')),
                         [&](const auto& committed) {
                           EXPECT_TRUE(IsDone(committed));
                           if (--left == 0) done.set_value();
                         });
    }
    done.get_future().wait();
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto store = Open();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(*store->Count(), static_cast<std::uint64_t>(sessions));
  std::printf("opened %d sessions in %.3f s\n", sessions, took.count());
}

}  // namespace
}  // namespace dropoutd
