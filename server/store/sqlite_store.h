// Sessions in a SQLite file.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_STORE_H_
#define DROPOUTD_SERVER_STORE_SQLITE_STORE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/store/sqlite_clock.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_lock.h"
#include "server/store/sqlite_reserve.h"
#include "server/store/sqlite_rows.h"
#include "server/store/sqlite_statements.h"
#include "server/store/sqlite_writer.h"
#include "server/store/store.h"

namespace dropoutd {

struct SqliteOptions {
  // Whether every change is on the disk when it is answered. Without it a change survives the
  // death of the process at once, and that of the machine after the next checkpoint.
  bool synchronous_full = false;
  SqliteClock::Now now = std::chrono::steady_clock::now;
  // The machine's clock, by which a file of schema 1 says when sessions end.
  std::function<std::chrono::system_clock::time_point()> wall_now = std::chrono::system_clock::now;
  std::int64_t most_pages = 0;  // Of 4 KiB, that the file may have; 0: no limit.
};

// One server's own. Changes that wait for each other are made in one transaction, by a thread of
// the store; reads have a connection of their own, and so has each snapshot, of which there are 8
// at once. Where the disk is full, changes that only remove are made all the same. Thread-safe.
class SqliteStore final : public Store {
 public:
  // Opens, or makes, the file. STORE_UNAVAILABLE, with a message for the operator that names the
  // path, where another server has it or a newer one has written it.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                           const SqliteOptions& options = {});
  ~SqliteStore() override;

  std::string_view kind() const override { return "sqlite"; }
  bool is_shared() const override { return false; }
  absl::Status Check() override;

  void StartCommit(std::string_view key, StoreChange change, Committed done) override;
  absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) override {
    return CommitAndWait(*this, key, std::move(change));
  }
  absl::Status Stage(std::string_view key, Token incarnation,
                     std::vector<StoreField> fields) override;
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override;
  absl::StatusOr<std::unique_ptr<StoreSnapshot>> Snapshot(std::string_view key) override;
  absl::StatusOr<std::vector<Token>> Tokens(const std::vector<std::string>& keys) override;
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, Token incarnation,
                                           std::optional<Token> expected, const FieldRange& range,
                                           std::size_t keep, std::size_t most) override;
  // An incarnation that is none stands for that of a session which is set aside, as it cannot be
  // asked for.
  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation, Token token) override;
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override;
  absl::StatusOr<std::uint64_t> Count() override { return writer_->sessions(); }
  absl::Status RemoveExpired() override;

 private:
  explicit SqliteStore(const SqliteOptions& options) : options_(options), clock_(options.now) {}

  absl::Status Prepare(const std::string& path);
  absl::Status PrepareWriter();

  // The lock of readers is held. `row` is what was found, also where it is damaged.
  absl::StatusOr<StoreAnswer> Read(std::string_view key, const StoreQuery& query, SqliteRow& row);
  // Runs `read` in a transaction of the readers' connection.
  template <typename Function>
  auto InReadTransaction(Function read) -> decltype(read());

  // Sets a damaged session aside, if it is still what was read; returns STORE_CORRUPT.
  absl::Status SetAside(const std::string& key, const SqliteRow& row);

  const SqliteOptions options_;
  SqliteClock clock_;
  SqliteLock lock_;
  std::unique_ptr<SqliteDatabase> database_;
  SqliteWriteStatements statements_;
  std::unique_ptr<SqliteReserve> reserve_;
  std::unique_ptr<SqliteDatabase> read_database_;
  SqliteReadStatements read_statements_;
  std::mutex readers_;
  std::atomic<int> snapshots_{0};
  std::unique_ptr<SqliteWriter> writer_;  // The first to end.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_STORE_H_
