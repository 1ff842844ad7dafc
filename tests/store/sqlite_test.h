// What tests of the SQLite store share.
#ifndef DROPOUTD_TESTS_STORE_SQLITE_TEST_H_
#define DROPOUTD_TESTS_STORE_SQLITE_TEST_H_

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "server/base/error.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_store.h"
#include "tests/store/store_conformance.h"
#include "tests/store/stores_under_test.h"

namespace dropoutd {

inline bool IsDone(const absl::StatusOr<StoreResult>& result) {
  return result.ok() && result->outcome == StoreOutcome::kDone;
}

// What a child process returns; -1 if it dies.
inline int InChild(const std::function<int()>& run) {
  const pid_t child = fork();
  if (child == 0) _exit(run());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class SqliteStoreTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteStore> Open(const SqliteOptions& options = {}) {
    auto store = SqliteStore::Open(path_, options);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  static StoreChange New(const std::string& document) {
    StoreChange change;
    change.token = Token::Random();
    change.incarnation = Token::Random();
    change.makes = SessionLimit{"", 10'000'000, 10'000'000};
    change.parts = {{"document", document}};
    change.ttl = std::chrono::hours(1);
    return change;
  }

  // Of the session that `making` has made. No value: removes it.
  static StoreChange Field(const StoreChange& making, const std::string& name,
                           std::optional<std::string> value, Token replaces = {}) {
    StoreChange change;
    change.token = Token::Random();
    change.incarnation = making.incarnation;
    change.expected = making.token;
    change.writes = {{name, std::move(value), replaces}};
    return change;
  }

  // Runs SQL on the file, as nobody should.
  void Meddle(const std::string& sql) {
    const auto database = SqliteDatabase::Open(path_, false);
    ASSERT_TRUE(database.ok());
    const absl::Status status = (*database)->Execute(sql);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::int64_t Integer(const char* sql) {
    return SqliteDatabase::Open(path_, true).value()->ReadInteger(sql).value();
  }

  static std::string ReasonText(const absl::Status& status) {
    const auto reason = ReasonOf(status);
    return reason.has_value() ? std::string(ReasonName(*reason)) : status.ToString();
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("sessions.db");
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_SQLITE_TEST_H_
