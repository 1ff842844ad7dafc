#include "server/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/store/framing.h"
#include "server/store/sqlite_statements.h"

namespace dropoutd {
namespace {

constexpr std::string_view kDocument = "document";
constexpr std::size_t kMostJobs = 1024;               // Of one transaction.
constexpr std::size_t kMostValueBytes = 500'000'000;  // SQLite's own limit is twice that.

absl::Status NotThere() { return absl::NotFoundError("the store has no such session"); }
absl::Status Damaged() {
  return MakeError(Reason::kStoreCorrupt,
                   "the store's record of the session is damaged; it was set aside");
}

// Whether `status` says that this session's record is damaged.
bool IsDamaged(const absl::Status& status) {
  return status.code() == absl::StatusCode::kDataLoss && !ReasonOf(status).has_value();
}
absl::Status DamagedValue() { return absl::DataLossError("a value has another checksum"); }

std::int64_t ToMicroseconds(StoreTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}
StoreTime FromMicroseconds(std::int64_t count) {
  return StoreTime(std::chrono::microseconds(count));
}

// The first string after all that begin with `prefix`; empty if there is none.
std::string AfterPrefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xFF) end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

}  // namespace

struct SqliteStore::Row {
  std::int64_t id = 0;  // 0: there is none.
  StoreVersion version = 0;
  StoreTime expire_time;
  bool has_expired = false;
};

SqliteStore::SqliteStore(const SqliteOptions& options) : options_(options) {}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               const SqliteOptions& options) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(options));
  if (const absl::Status status = store->Prepare(path); !status.ok()) {
    return MakeError(ReasonOf(status).value_or(Reason::kStoreUnavailable),
                     absl::StrCat(path, ": ", status.message()));
  }
  store->writer_ = std::thread(&SqliteStore::Write, store.get());
  return store;
}

absl::Status SqliteStore::Prepare(const std::string& path) {
  lock_file_ = open((path + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock_file_ < 0) {
    return MakeError(Reason::kStoreUnavailable, "cannot be written, or its folder is missing");
  }
  if (flock(lock_file_, LOCK_EX | LOCK_NB) != 0) {
    return MakeError(Reason::kStoreUnavailable, "another dropoutd uses it");
  }
  DROPOUTD_ASSIGN_OR_RETURN(database_, SqliteDatabase::Open(path, /*read_only=*/false));
  DROPOUTD_RETURN_IF_ERROR(database_->Execute("PRAGMA journal_mode = WAL"));
  DROPOUTD_RETURN_IF_ERROR(database_->Execute(
      options_.synchronous_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
  DROPOUTD_RETURN_IF_ERROR(MakeSchema());
  if (options_.most_pages != 0) {
    DROPOUTD_RETURN_IF_ERROR(
        database_->Execute(absl::StrCat("PRAGMA max_page_count = ", options_.most_pages)));
  }
  statements_ = std::make_unique<SqliteStatements>();
  DROPOUTD_RETURN_IF_ERROR(statements_->Prepare(database_->handle()));
  DROPOUTD_ASSIGN_OR_RETURN(read_database_, SqliteDatabase::Open(path, /*read_only=*/true));
  read_statements_ = std::make_unique<SqliteStatements>();
  DROPOUTD_RETURN_IF_ERROR(read_statements_->Prepare(read_database_->handle()));
  DROPOUTD_ASSIGN_OR_RETURN(const std::int64_t count,
                            database_->ReadInteger("SELECT count(*) FROM sessions"));
  count_ = static_cast<std::uint64_t>(count);
  return absl::OkStatus();
}

absl::Status SqliteStore::MakeSchema() {
  DROPOUTD_ASSIGN_OR_RETURN(const std::int64_t version,
                            database_->ReadInteger("PRAGMA user_version"));
  if (version > kSqliteSchemaVersion) {
    return MakeError(Reason::kStoreUnavailable,
                     absl::StrCat("a newer dropoutd has written it (schema ", version,
                                  ", this one knows ", kSqliteSchemaVersion, ")"));
  }
  if (version == kSqliteSchemaVersion) return absl::OkStatus();
  DROPOUTD_ASSIGN_OR_RETURN(const std::int64_t tables,
                            database_->ReadInteger("SELECT count(*) FROM sqlite_schema"));
  if (tables != 0)
    return MakeError(Reason::kStoreUnavailable, "is the database of another program");
  return database_->Execute(absl::StrCat("BEGIN;", kSqliteSchema, "COMMIT"));
}

SqliteStore::~SqliteStore() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (writer_.joinable()) writer_.join();
  statements_.reset();
  read_statements_.reset();
  read_database_.reset();
  database_.reset();
  if (lock_file_ >= 0) close(lock_file_);
}

// --- The writer -----------------------------------------------------------------------------

void SqliteStore::Enqueue(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

absl::StatusOr<std::uint64_t> SqliteStore::RunJob(
    std::function<absl::StatusOr<std::uint64_t>()> work) {
  // Shared: set_value may still be at work when the answer is here.
  const auto promise = std::make_shared<std::promise<absl::StatusOr<std::uint64_t>>>();
  auto answer = promise->get_future();
  Enqueue({std::move(work), [promise](auto result) { promise->set_value(std::move(result)); }});
  return answer.get();
}

void SqliteStore::Write() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;  // Stopped, and nothing is left.
    std::deque<Job> taken;
    if (jobs_.size() <= kMostJobs) {
      taken.swap(jobs_);
    } else {
      const auto end = jobs_.begin() + static_cast<std::ptrdiff_t>(kMostJobs);
      taken.assign(std::make_move_iterator(jobs_.begin()), std::make_move_iterator(end));
      jobs_.erase(jobs_.begin(), end);
    }
    lock.unlock();
    RunJobs(taken);
    lock.lock();
  }
}

// One transaction. A job that finds something not as it expected changes nothing; an error of
// SQLite's undoes all.
void SqliteStore::RunJobs(std::deque<Job>& jobs) {
  std::vector<absl::StatusOr<std::uint64_t>> results;
  results.reserve(jobs.size());
  count_change_ = 0;
  absl::Status transaction = statements_->begin.Run();
  for (const Job& job : jobs) {
    if (!transaction.ok()) break;
    results.push_back(job.work());
    const absl::Status& status = results.back().status();
    if (ReasonOf(status).has_value()) transaction = status;
  }
  if (transaction.ok()) transaction = statements_->commit.Run();
  if (transaction.ok()) {
    count_ += static_cast<std::uint64_t>(count_change_);
  } else {
    static_cast<void>(statements_->rollback.Run());
    results.assign(jobs.size(), transaction);
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].done(std::move(results[i]));
}

absl::StatusOr<SqliteStore::Row> SqliteStore::FindRow(SqliteStatements& statements,
                                                      std::string_view key, StoreTime now) {
  Row row;
  std::int64_t version = 0;
  if (statements.find.Bind(1, key).Step()) {
    row.id = statements.find.Integer(0);
    version = statements.find.Integer(1);
    row.expire_time = FromMicroseconds(statements.find.Integer(2));
    row.has_expired = row.expire_time <= now;
  }
  DROPOUTD_RETURN_IF_ERROR(statements.find.Reset());
  // Set aside: there, and never served. It goes with its time.
  if (version < 0 && !row.has_expired) return DamagedValue();
  if (!row.has_expired) row.version = static_cast<StoreVersion>(version);
  return row;
}

absl::StatusOr<std::optional<std::string>> SqliteStore::ReadField(SqliteStatements& statements,
                                                                  std::int64_t session,
                                                                  const std::string& name) {
  std::optional<std::string> value;
  bool is_damaged = false;
  if (statements.field.Bind(1, session).Bind(2, name).Step()) {
    const auto unframed = Unframe(name, statements.field.Blob(0));
    is_damaged = !unframed.has_value();
    if (!is_damaged) value.emplace(*unframed);
  }
  DROPOUTD_RETURN_IF_ERROR(statements.field.Reset());
  if (is_damaged) return DamagedValue();
  return value;
}

absl::Status SqliteStore::RemoveRow(std::int64_t session) {
  DROPOUTD_RETURN_IF_ERROR(statements_->erase_fields.Bind(1, session).Run());
  DROPOUTD_RETURN_IF_ERROR(statements_->remove.Bind(1, session).Run());
  --count_change_;
  return absl::OkStatus();
}

absl::Status SqliteStore::WriteFields(std::int64_t session, const std::vector<StoreField>& writes) {
  for (const StoreField& write : writes) {
    if (!write.value.has_value()) {
      DROPOUTD_RETURN_IF_ERROR(statements_->erase_field.Bind(1, session).Bind(2, write.name).Run());
      continue;
    }
    const std::string framed = Frame(write.name, *write.value);
    DROPOUTD_RETURN_IF_ERROR(
        statements_->put_field.Bind(1, session).Bind(2, write.name).Bind(3, framed).Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> SqliteStore::Apply(std::string_view key, const StoreChange& change) {
  DROPOUTD_ASSIGN_OR_RETURN(Row row, FindRow(*statements_, key, options_.now()));
  if (row.version == 0 && change.expected_version.value_or(1) != 0) return NotThere();
  if (change.expected_version.value_or(row.version) != row.version) {
    return absl::AbortedError("the session has another version");
  }
  for (const StoreField& condition : change.conditions) {
    std::optional<std::string> value;
    if (row.version != 0) {
      DROPOUTD_ASSIGN_OR_RETURN(value, ReadField(*statements_, row.id, condition.name));
    }
    if (value != condition.value) return absl::AbortedError("a field has another value");
  }
  // From here on whatever fails undoes the transaction.
  if (row.version == 0) {
    if (row.id != 0) DROPOUTD_RETURN_IF_ERROR(RemoveRow(row.id));
    const std::string document = Frame(kDocument, change.document.value_or(""));
    const std::int64_t expire = ToMicroseconds(change.expire_time.value_or(StoreTime()));
    DROPOUTD_RETURN_IF_ERROR(
        statements_->insert.Bind(1, key).Bind(2, expire).Bind(3, document).Run());
    ++count_change_;
    row.id = sqlite3_last_insert_rowid(database_->handle());
    row.version = 1;
  } else {
    if (change.document.has_value()) {
      const std::string document = Frame(kDocument, *change.document);
      DROPOUTD_RETURN_IF_ERROR(
          statements_->update_document.Bind(1, document).Bind(2, row.id).Run());
      ++row.version;
    }
    if (change.expire_time.has_value()) {
      DROPOUTD_RETURN_IF_ERROR(
          statements_->update_expire.Bind(1, ToMicroseconds(*change.expire_time))
              .Bind(2, row.id)
              .Run());
    }
  }
  DROPOUTD_RETURN_IF_ERROR(WriteFields(row.id, change.writes));
  return row.version;
}

void SqliteStore::StartCommit(std::string_view key, StoreChange change, Committed done) {
  std::size_t byte_size = change.document.value_or("").size();
  for (const StoreField& write : change.writes) byte_size += write.value.value_or("").size();
  if (byte_size > kMostValueBytes) {
    return done(MakeError(Reason::kStoreUnavailable, "the change is too large for the store"));
  }
  const auto shared = std::make_shared<const StoreChange>(std::move(change));
  Enqueue({[this, key = std::string(key), shared] { return Apply(key, *shared); },
           [this, key = std::string(key), done = std::move(done)](auto result) {
             if (IsDamaged(result.status())) {
               // By itself: this is the writer, which cannot wait for itself.
               Enqueue({[this, key] {
                          return absl::StatusOr<std::uint64_t>(
                              statements_->set_aside.Bind(1, key).Run().ok());
                        },
                        [](auto) {}});
               return done(Damaged());
             }
             done(std::move(result));
           }});
}

absl::StatusOr<std::uint64_t> SqliteStore::EraseRange(std::string_view key, const FieldRange& range,
                                                      std::size_t keep) {
  auto erased = RunJob([&]() -> absl::StatusOr<std::uint64_t> {
    DROPOUTD_ASSIGN_OR_RETURN(const Row row, FindRow(*statements_, key, options_.now()));
    if (row.version == 0 || range.last <= range.first) return std::uint64_t{0};
    SqliteStatement& count = statements_->count_range;
    count.Bind(1, row.id).Bind(2, range.first).Bind(3, range.last).Step();
    const auto there = static_cast<std::uint64_t>(count.Integer(0));
    DROPOUTD_RETURN_IF_ERROR(count.Reset());
    const std::uint64_t gone = there - std::min<std::uint64_t>(there, keep);
    if (gone == 0) return gone;
    DROPOUTD_RETURN_IF_ERROR(statements_->erase_range.Bind(1, row.id)
                                 .Bind(2, range.first)
                                 .Bind(3, range.last)
                                 .Bind(4, static_cast<std::int64_t>(gone))
                                 .Run());
    return gone;
  });
  if (IsDamaged(erased.status())) return Damaged();
  return erased;
}

absl::Status SqliteStore::Remove(std::string_view key) {
  return RunJob([&]() -> absl::StatusOr<std::uint64_t> {
           auto row = FindRow(*statements_, key, options_.now());
           if (IsDamaged(row.status())) {
             // Nobody needs it any more.
             SqliteStatement& find = statements_->find;
             row = Row();
             if (find.Bind(1, key).Step()) row->id = find.Integer(0);
             row->version = 1;
             DROPOUTD_RETURN_IF_ERROR(find.Reset());
           }
           DROPOUTD_RETURN_IF_ERROR(row.status());
           if (row->id == 0) return NotThere();
           DROPOUTD_RETURN_IF_ERROR(RemoveRow(row->id));
           if (row->has_expired) return absl::StatusOr<std::uint64_t>(0);
           return absl::StatusOr<std::uint64_t>(1);
         })
      .status();
}

absl::Status SqliteStore::RemoveExpired() {
  const std::int64_t now = ToMicroseconds(options_.now());
  while (true) {
    const auto removed = RunJob([&]() -> absl::StatusOr<std::uint64_t> {
      std::vector<std::int64_t> sessions;
      statements_->expired.Bind(1, now);
      while (statements_->expired.Step()) sessions.push_back(statements_->expired.Integer(0));
      DROPOUTD_RETURN_IF_ERROR(statements_->expired.Reset());
      for (const std::int64_t session : sessions) DROPOUTD_RETURN_IF_ERROR(RemoveRow(session));
      return sessions.size();
    });
    DROPOUTD_RETURN_IF_ERROR(removed.status());
    if (*removed == 0) return absl::OkStatus();
  }
}

absl::Status SqliteStore::Quarantine(std::string_view key) {
  const auto done = RunJob([&]() -> absl::StatusOr<std::uint64_t> {
    DROPOUTD_RETURN_IF_ERROR(statements_->set_aside.Bind(1, key).Run());
    return std::uint64_t{0};
  });
  return done.ok() ? Damaged() : done.status();
}

absl::Status SqliteStore::Check() {
  // A transaction that changes nothing, and still needs the file to be writable.
  return RunJob([]() -> absl::StatusOr<std::uint64_t> { return std::uint64_t{0}; }).status();
}

// --- Readers --------------------------------------------------------------------------------

absl::StatusOr<StoreAnswer> SqliteStore::Read(std::string_view key, const StoreQuery& query) {
  const std::lock_guard lock(readers_);
  SqliteStatements& statements = *read_statements_;
  DROPOUTD_ASSIGN_OR_RETURN(const Row row, FindRow(statements, key, options_.now()));
  if (row.version == 0) return NotThere();
  StoreAnswer answer;
  answer.version = row.version;
  answer.expire_time = row.expire_time;
  if (row.version != query.known_version) {
    bool is_damaged = false;
    if (statements.document.Bind(1, row.id).Step()) {
      const auto document = Unframe(kDocument, statements.document.Blob(0));
      is_damaged = !document.has_value();
      answer.document = std::string(document.value_or(""));
    }
    DROPOUTD_RETURN_IF_ERROR(statements.document.Reset());
    if (is_damaged) return DamagedValue();
  }
  for (const std::string& name : query.fields) {
    DROPOUTD_ASSIGN_OR_RETURN(std::optional<std::string> value,
                              ReadField(statements, row.id, name));
    answer.fields.push_back({name, std::move(value)});
  }
  return answer;
}

// Another renewal, to a later end, may have come before.
absl::Status SqliteStore::Renew(std::string_view key, StoreTime expire_time) {
  return RunJob([&]() -> absl::StatusOr<std::uint64_t> {
           DROPOUTD_ASSIGN_OR_RETURN(const Row row, FindRow(*statements_, key, options_.now()));
           if (row.version == 0) return NotThere();
           if (row.expire_time < expire_time) {
             DROPOUTD_RETURN_IF_ERROR(
                 statements_->update_expire.Bind(1, ToMicroseconds(expire_time))
                     .Bind(2, row.id)
                     .Run());
           }
           return row.version;
         })
      .status();
}

absl::StatusOr<StoreAnswer> SqliteStore::Query(std::string_view key, const StoreQuery& query) {
  if (query.expire_time.has_value()) {
    const absl::Status renewed = Renew(key, *query.expire_time);
    if (IsDamaged(renewed)) return Damaged();
    DROPOUTD_RETURN_IF_ERROR(renewed);
  }
  auto answer = Read(key, query);
  if (IsDamaged(answer.status())) return Quarantine(key);
  return answer;
}

absl::StatusOr<std::vector<StoreField>> SqliteStore::Scan(std::string_view key,
                                                          const FieldRange& range,
                                                          std::size_t limit) {
  std::vector<StoreField> found;
  bool is_damaged = false;
  {
    const std::lock_guard lock(readers_);
    const auto row = FindRow(*read_statements_, key, options_.now());
    is_damaged = IsDamaged(row.status());
    if (!is_damaged) {
      DROPOUTD_RETURN_IF_ERROR(row.status());
      if (row->version == 0) return found;
      SqliteStatement& scan = read_statements_->scan;
      const auto most = std::min<std::size_t>(limit, std::numeric_limits<std::int64_t>::max());
      scan.Bind(1, row->id).Bind(2, range.first).Bind(3, range.last);
      scan.Bind(4, static_cast<std::int64_t>(most));
      while (scan.Step()) {
        std::string name(scan.Blob(0));
        const auto value = Unframe(name, scan.Blob(1));
        is_damaged = is_damaged || !value.has_value();
        found.push_back({std::move(name), std::string(value.value_or(""))});
      }
      DROPOUTD_RETURN_IF_ERROR(scan.Reset());
    }
  }
  if (is_damaged) return Quarantine(key);
  return found;
}

absl::StatusOr<std::vector<std::string>> SqliteStore::List(std::string_view prefix,
                                                           std::string_view after,
                                                           std::size_t limit) {
  std::vector<std::string> keys;
  const std::string end = AfterPrefix(prefix);
  const std::lock_guard lock(readers_);
  SqliteStatement& list = end.empty() ? read_statements_->list : read_statements_->list_to;
  list.Bind(1, after).Bind(2, prefix).Bind(3, ToMicroseconds(options_.now()));
  list.Bind(4, static_cast<std::int64_t>(limit));
  if (!end.empty()) list.Bind(5, std::string_view(end));
  while (list.Step()) keys.emplace_back(list.Blob(0));
  DROPOUTD_RETURN_IF_ERROR(list.Reset());
  return keys;
}

}  // namespace dropoutd
