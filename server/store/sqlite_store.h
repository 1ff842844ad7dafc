// Sessions in a SQLite file.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_STORE_H_
#define DROPOUTD_SERVER_STORE_SQLITE_STORE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "server/store/sqlite_database.h"
#include "server/store/store.h"

namespace dropoutd {

struct SqliteStatements;

struct SqliteOptions {
  // Whether every change is on the disk when it is answered. Without it a change survives the
  // death of the process at once, and that of the machine after the next checkpoint.
  bool synchronous_full = false;
  std::function<StoreTime()> now = std::chrono::system_clock::now;
  std::int64_t most_pages = 0;  // Of 4 KiB, that the file may have; 0: no limit.
};

// One server's own. Changes that wait for each other are made in one transaction, by a thread of
// the store; reads have a connection of their own. Thread-safe.
class SqliteStore final : public Store {
 public:
  // Opens, or makes, the file. STORE_UNAVAILABLE, with a message for the operator that names the
  // path, where another server has it or a newer one has written it.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                           const SqliteOptions& options = {});
  ~SqliteStore() override;

  std::string_view kind() const override { return "sqlite"; }
  bool is_shared() const override { return false; }
  std::uint64_t history() const override { return 0; }
  absl::Status Check() override;

  void StartCommit(std::string_view key, StoreChange change, Committed done) override;
  absl::StatusOr<StoreVersion> Commit(std::string_view key, StoreChange change) override {
    return CommitAndWait(*this, key, std::move(change));
  }
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override;
  absl::StatusOr<std::vector<StoreField>> Scan(std::string_view key, const FieldRange& range,
                                               std::size_t limit) override;
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, const FieldRange& range,
                                           std::size_t keep) override;
  absl::Status Remove(std::string_view key) override;
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override;
  absl::StatusOr<std::uint64_t> Count() override { return count_.load(); }
  absl::Status RemoveExpired() override;

 private:
  struct Row;

  // Work for the writer: `work` inside a transaction, then `done` with what it returned, or with
  // the transaction's error.
  struct Job {
    std::function<absl::StatusOr<std::uint64_t>()> work;
    std::function<void(absl::StatusOr<std::uint64_t>)> done;
  };

  explicit SqliteStore(const SqliteOptions& options);

  absl::Status Prepare(const std::string& path);
  absl::Status MakeSchema();

  void Write();
  void RunJobs(std::deque<Job>& jobs);
  void Enqueue(Job job);
  absl::StatusOr<std::uint64_t> RunJob(std::function<absl::StatusOr<std::uint64_t>()> work);

  // By the writer, or by a reader that holds readers_.
  static absl::StatusOr<Row> FindRow(SqliteStatements& statements, std::string_view key,
                                     StoreTime now);
  static absl::StatusOr<std::optional<std::string>> ReadField(SqliteStatements& statements,
                                                              std::int64_t session,
                                                              const std::string& name);

  // By the writer.
  absl::StatusOr<std::uint64_t> Apply(std::string_view key, const StoreChange& change);
  absl::Status RemoveRow(std::int64_t session);
  absl::Status WriteFields(std::int64_t session, const std::vector<StoreField>& writes);

  // Sets a damaged session aside; returns STORE_CORRUPT.
  absl::Status Quarantine(std::string_view key);
  absl::StatusOr<StoreAnswer> Read(std::string_view key, const StoreQuery& query);
  absl::Status Renew(std::string_view key, StoreTime expire_time);

  const SqliteOptions options_;
  int lock_file_ = -1;
  std::unique_ptr<SqliteDatabase> database_;
  std::unique_ptr<SqliteStatements> statements_;
  std::unique_ptr<SqliteDatabase> read_database_;
  std::unique_ptr<SqliteStatements> read_statements_;
  std::mutex readers_;
  std::atomic<std::uint64_t> count_{0};
  std::int64_t count_change_ = 0;  // Of the transaction at work.

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stop_ = false;
  std::thread writer_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_STORE_H_
