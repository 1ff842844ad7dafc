#include "server/store/sqlite_writer.h"

#include <algorithm>
#include <future>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMostJobs = 1024;    // Of one transaction.
constexpr std::int64_t kPageBytes = 4096;  // SQLite's default.
constexpr std::int64_t kReservePages = SqliteReserve::kBytes / kPageBytes;

}  // namespace

SqliteWriter::SqliteWriter(SqliteDatabase& database, SqliteWriteStatements& statements,
                           const SqliteClock& clock, SqliteReserve& reserve, std::uint64_t sessions,
                           std::int64_t most_pages)
    : database_(database),
      statements_(statements),
      reserve_(reserve),
      most_pages_(most_pages),
      changes_(database, statements, clock),
      sessions_(sessions) {
  KeepRoom();
  thread_ = std::thread(&SqliteWriter::Loop, this);
}

SqliteWriter::~SqliteWriter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void SqliteWriter::Enqueue(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

absl::StatusOr<StoreResult> SqliteWriter::Run(
    std::function<absl::StatusOr<StoreResult>(SqliteChanges&)> work, bool frees) {
  // Shared: set_value may still be at work when the answer is here.
  const auto promise = std::make_shared<std::promise<absl::StatusOr<StoreResult>>>();
  auto answer = promise->get_future();
  Enqueue(
      {std::move(work), [promise](auto result) { promise->set_value(std::move(result)); }, frees});
  return answer.get();
}

void SqliteWriter::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;  // Stopped, and nothing is left.
    std::vector<Job> taken;
    const std::size_t count = std::min(jobs_.size(), kMostJobs);
    const auto end = jobs_.begin() + static_cast<std::ptrdiff_t>(count);
    taken.assign(std::make_move_iterator(jobs_.begin()), std::make_move_iterator(end));
    jobs_.erase(jobs_.begin(), end);
    lock.unlock();
    RunJobs(taken);
    taken.clear();
    lock.lock();
  }
}

// What is left of the reserve is for removals alone: else others would fill it, and the next
// removal would find no room.
void SqliteWriter::RunRemovals(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    if (job.frees) {
      RunAlone(job);
    } else {
      job.done(MakeError(Reason::kStoreUnavailable,
                         "SQLite: the disk is full; make room on it, or delete sessions"));
    }
  }
  reserve_.Keep();
}

void SqliteWriter::RunJobs(const std::vector<Job>& jobs) {
  if (reserve_.is_spent()) {
    database_.Checkpoint();  // What is in the log needs room elsewhere first.
    if (reserve_.IsForRemovals()) return RunRemovals(jobs);
  }
  Results results;
  bool has_begun = false;
  const absl::Status status = Transact(jobs.data(), jobs.size(), results, has_begun);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (status.ok()) {
      jobs[i].done(std::move(results[i]));
    } else if (has_begun && (jobs.size() > 1 || jobs[i].frees)) {
      RunAlone(jobs[i]);
    } else {
      jobs[i].done(status);
    }
  }
  // There may be room again for what was given up.
  if (std::any_of(jobs.begin(), jobs.end(), [](const Job& job) { return job.frees; })) {
    // What was freed is of use to others once the log is moved, which a full disk may not allow.
    if (was_full_) MakeRoom();
    KeepRoom();
  }
}

void SqliteWriter::RunAlone(const Job& job) {
  Results results;
  bool has_begun = false;
  absl::Status status = Transact(&job, 1, results, has_begun);
  if (!status.ok() && job.frees) {
    MakeRoom();
    changes_.SetLittleRoom(true);
    status = Transact(&job, 1, results, has_begun);
    changes_.SetLittleRoom(false);
    database_.Checkpoint();
    KeepRoom();
  }
  if (status.ok()) return job.done(std::move(results[0]));
  job.done(std::move(status));
}

absl::Status SqliteWriter::Transact(const Job* first, std::size_t count, Results& results,
                                    bool& has_begun) {
  results.clear();
  results.reserve(count);
  DROPOUTD_RETURN_IF_ERROR(statements_.begin.Run());
  has_begun = true;
  absl::Status status = changes_.SaveClockNowAndThen();
  for (std::size_t i = 0; status.ok() && i < count; ++i) {
    results.push_back(first[i].work(changes_));
    if (ReasonOf(results.back().status()).has_value()) status = results.back().status();
  }
  if (status.ok()) status = statements_.commit.Run();
  if (status.ok()) {
    sessions_ += static_cast<std::uint64_t>(changes_.TakeCountChange());
  } else {
    static_cast<void>(statements_.rollback.Run());
    changes_.Undo();
    was_full_ = was_full_ || ReasonOf(status) == Reason::kStoreUnavailable;
  }
  return status;
}

// The log's room is used anew, and the reserve is given up.
void SqliteWriter::MakeRoom() {
  was_full_ = false;
  reserve_.GiveUp();
  if (most_pages_ != 0) {
    static_cast<void>(
        database_.Execute(absl::StrCat("PRAGMA max_page_count = ", most_pages_ + kReservePages)));
  }
  database_.Checkpoint();
}

void SqliteWriter::KeepRoom() {
  if (most_pages_ != 0) {
    static_cast<void>(database_.Execute(absl::StrCat("PRAGMA max_page_count = ", most_pages_)));
  }
  reserve_.Keep();
}

}  // namespace dropoutd
