// SQLite: the conformance suite, and what can befall a file.
#include "server/store/sqlite_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
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

#include "server/base/error.h"
#include "tests/store/store_conformance.h"
#include "tests/store/stores_under_test.h"

namespace dropoutd {
namespace {

namespace fs = std::filesystem;

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformanceTest, testing::Values(MakeStoreKind("Sqlite")),
                         [](const auto& kind) { return kind.param.name; });

class SqliteStoreTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteStore> Open(const SqliteOptions& options = {}) {
    auto store = SqliteStore::Open(path_, options);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  static StoreChange New(const std::string& document) {
    StoreChange change;
    change.expected_version = 0;
    change.document = document;
    change.expire_time = std::chrono::system_clock::now() + std::chrono::hours(1);
    return change;
  }

  static StoreChange Field(const std::string& name, const std::string& value) {
    StoreChange change;
    change.writes = {{name, value}};
    return change;
  }

  // Runs SQL on the file, as nobody should.
  void Meddle(const std::string& sql) {
    const auto database = SqliteDatabase::Open(path_, false);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE((*database)->Execute(sql).ok());
  }

  static std::string ReasonText(const absl::Status& status) {
    const auto reason = ReasonOf(status);
    return reason.has_value() ? std::string(ReasonName(*reason)) : status.ToString();
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("sessions.db");
};

TEST_F(SqliteStoreTest, WhatIsCommittedIsThereAgain) {
  {
    const auto store = Open();
    ASSERT_TRUE(store->Commit("s", New("document")).ok());
    ASSERT_TRUE(store->Commit("s", Field("a", "1")).ok());
  }
  const auto store = Open();
  EXPECT_EQ(*store->Count(), 1u);
  StoreQuery query;
  query.fields = {"a"};
  const auto answer = store->Query("s", query);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->document, "document");
  EXPECT_EQ(answer->fields[0].value, "1");
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
      if (!store.ok() || !(*store)->Commit("s", New("d")).ok()) _exit(1);
      for (std::uint32_t i = 0;; ++i) {
        if (!(*store)->Commit("s", Field(std::to_string(i), std::string(500, 'x'))).ok()) _exit(1);
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

TEST_F(SqliteStoreTest, ASecondServerIsRefused) {
  const auto store = Open();
  const auto second = SqliteStore::Open(path_);
  EXPECT_EQ(ReasonText(second.status()), "STORE_UNAVAILABLE");
  EXPECT_NE(second.status().message().find("another dropoutd"), std::string::npos);
  EXPECT_TRUE(store->Check().ok());
}

TEST_F(SqliteStoreTest, ANewerSchemaIsRefused) {
  Open();
  Meddle("PRAGMA user_version = 2");
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

TEST_F(SqliteStoreTest, AFullDiskLosesNothing) {
  SqliteOptions options;
  options.most_pages = 100;
  const auto store = Open(options);
  ASSERT_TRUE(store->Commit("s", New("document")).ok());
  ASSERT_TRUE(store->Commit("s", Field("small", "1")).ok());
  const auto full = store->Commit("s", Field("large", std::string(1 << 20, 'x')));
  EXPECT_EQ(ReasonText(full.status()), "STORE_UNAVAILABLE");
  StoreQuery query;
  query.fields = {"small", "large"};
  const auto answer = store->Query("s", query);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->fields[0].value, "1");
  EXPECT_EQ(answer->fields[1].value, std::nullopt);
  EXPECT_TRUE(store->Commit("s", Field("small", "2")).ok());  // There is room for this.
}

TEST_F(SqliteStoreTest, DamagedRecordsAreSetAside) {
  for (const std::string table : {"sessions SET document", "fields SET value"}) {
    {
      const auto store = Open();
      for (const char* key : {"bad", "good"}) {
        ASSERT_TRUE(store->Commit(key, New("document")).ok());
        ASSERT_TRUE(store->Commit(key, Field("a", "1")).ok());
      }
    }
    Meddle("UPDATE " + table + " = x'0100000000' WHERE " +
           (table.starts_with("sessions") ? "key = CAST('bad' AS BLOB)"
                                          : "session = (SELECT id FROM sessions WHERE key = "
                                            "CAST('bad' AS BLOB))"));
    const auto store = Open();
    StoreQuery query;
    query.fields = {"a"};
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(ReasonText(store->Query("bad", query).status()), "STORE_CORRUPT") << table;
    }
    // And stays so for other questions, which the damage does not touch.
    EXPECT_EQ(ReasonText(store->Commit("bad", Field("b", "2")).status()), "STORE_CORRUPT");
    EXPECT_EQ(ReasonText(store->Scan("bad", {"", "z"}, 9).status()), "STORE_CORRUPT");
    EXPECT_EQ(store->Query("good", query)->fields[0].value, "1");
    EXPECT_TRUE(store->Remove("bad").ok());
    EXPECT_TRUE(store->Remove("good").ok());
  }
}

TEST_F(SqliteStoreTest, ValuesDoNotTakeEachOthersPlaces) {
  {
    const auto store = Open();
    ASSERT_TRUE(store->Commit("s", New("document")).ok());
    ASSERT_TRUE(store->Commit("s", Field("a", "1")).ok());
    ASSERT_TRUE(store->Commit("s", Field("b", "2")).ok());
  }
  Meddle(
      "UPDATE fields SET value = (SELECT value FROM fields WHERE name = CAST('b' AS BLOB)) "
      "WHERE name = CAST('a' AS BLOB)");
  StoreQuery query;
  query.fields = {"a"};
  EXPECT_EQ(ReasonText(Open()->Query("s", query).status()), "STORE_CORRUPT");
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
                           EXPECT_TRUE(committed.ok());
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
