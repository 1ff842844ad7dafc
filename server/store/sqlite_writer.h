// The thread that writes to a SQLite file.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_WRITER_H_
#define DROPOUTD_SERVER_STORE_SQLITE_WRITER_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/sqlite_changes.h"
#include "server/store/sqlite_clock.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_reserve.h"
#include "server/store/sqlite_statements.h"
#include "server/store/store.h"

namespace dropoutd {

// Makes the jobs that wait for each other in one transaction. If that fails each is made by itself,
// so that one for which there is no room takes no other with it. Thread-safe.
class SqliteWriter {
 public:
  // `work` runs inside a transaction, perhaps again if that is undone; then `done`, with what it
  // returned or the transaction's error. A status with a reason undoes the transaction.
  struct Job {
    std::function<absl::StatusOr<StoreResult>(SqliteChanges&)> work;
    std::function<void(absl::StatusOr<StoreResult>)> done;
    bool frees = false;  // It may use what is kept for removals.
  };

  // All must outlive the writer, which alone uses the database. `most_pages`: 0 for no limit.
  SqliteWriter(SqliteDatabase& database, SqliteWriteStatements& statements,
               const SqliteClock& clock, SqliteReserve& reserve, std::uint64_t sessions,
               std::int64_t most_pages);
  // Finishes what has been enqueued.
  ~SqliteWriter();
  SqliteWriter(const SqliteWriter&) = delete;
  SqliteWriter& operator=(const SqliteWriter&) = delete;

  void Enqueue(Job job);
  // Not from `done`.
  absl::StatusOr<StoreResult> Run(std::function<absl::StatusOr<StoreResult>(SqliteChanges&)> work,
                                  bool frees = false);

  // Sessions, as of the last transaction.
  std::uint64_t sessions() const { return sessions_; }

 private:
  using Results = std::vector<absl::StatusOr<StoreResult>>;

  void Loop();
  void RunJobs(const std::vector<Job>& jobs);
  void RunRemovals(const std::vector<Job>& jobs);
  void RunAlone(const Job& job);
  // Fills `results` if it succeeds. `has_begun`: whether it came so far as to write.
  absl::Status Transact(const Job* first, std::size_t count, Results& results, bool& has_begun);
  // Gives up what is kept for removals; keeps it again, where that can be.
  void MakeRoom();
  void KeepRoom();

  SqliteDatabase& database_;
  SqliteWriteStatements& statements_;
  SqliteReserve& reserve_;
  const std::int64_t most_pages_;
  SqliteChanges changes_;
  bool was_full_ = false;  // A change found no room, and none has been made since.
  std::atomic<std::uint64_t> sessions_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_WRITER_H_
