#include "server/store/sqlite_store.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/store/sqlite_counts.h"
#include "server/store/sqlite_schema.h"
#include "server/store/sqlite_snapshot.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMostValueBytes = 500'000'000;  // SQLite's own limit is twice that.
constexpr int kMostSnapshots = 8;

std::size_t ByteSize(const StoreChange& change) {
  std::size_t byte_size = 0;
  for (const StorePart& part : change.parts) byte_size += part.value.value_or("").size();
  for (const FieldWrite& write : change.writes) byte_size += write.value.value_or("").size();
  return byte_size;
}

// Whether it removes, and does nothing else.
bool Frees(const StoreChange& change) {
  if (change.parts.empty() && change.writes.empty() && change.erases.empty()) return false;
  const auto is_removal = [](const auto& each) { return !each.value.has_value(); };
  return !change.makes.has_value() &&
         std::all_of(change.parts.begin(), change.parts.end(), is_removal) &&
         std::all_of(change.writes.begin(), change.writes.end(), is_removal);
}

// What is said of a session that is set aside.
template <typename Result>
absl::StatusOr<Result> Said(absl::StatusOr<Result> result) {
  if (IsSqliteDamage(result.status())) return SqliteSetAside();
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               const SqliteOptions& options) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(options));
  if (const absl::Status status = store->Prepare(path); !status.ok()) {
    return MakeError(ReasonOf(status).value_or(Reason::kStoreUnavailable),
                     absl::StrCat(path, ": ", status.message()));
  }
  return store;
}

absl::Status SqliteStore::Prepare(const std::string& path) {
  DROPOUTD_ASSIGN_OR_RETURN(lock_, SqliteLock::Take(path));
  DROPOUTD_ASSIGN_OR_RETURN(database_, SqliteDatabase::Open(lock_.path(), /*read_only=*/false));
  DROPOUTD_RETURN_IF_ERROR(PrepareWriter());
  DROPOUTD_ASSIGN_OR_RETURN(read_database_, SqliteDatabase::Open(lock_.path(), /*read_only=*/true));
  DROPOUTD_RETURN_IF_ERROR(read_statements_.Prepare(read_database_->handle()));
  DROPOUTD_ASSIGN_OR_RETURN(const std::int64_t saved,
                            database_->ReadInteger("SELECT micros FROM clock"));
  clock_.Continue(saved);
  DROPOUTD_ASSIGN_OR_RETURN(
      const std::int64_t sessions,
      database_->ReadInteger("SELECT count(*) FROM sessions WHERE key IS NOT NULL"));
  reserve_ = std::make_unique<SqliteReserve>(lock_.path());
  writer_ =
      std::make_unique<SqliteWriter>(*database_, statements_, clock_, *reserve_,
                                     static_cast<std::uint64_t>(sessions), options_.most_pages);
  return absl::OkStatus();
}

absl::Status SqliteStore::PrepareWriter() {
  DROPOUTD_RETURN_IF_ERROR(database_->Execute("PRAGMA journal_mode = WAL"));
  DROPOUTD_RETURN_IF_ERROR(database_->Execute(
      options_.synchronous_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
  // To fill with zeros what is removed, as Debian's SQLite would, takes as much room in the log as
  // that had, and a removal must fit the reserve.
  DROPOUTD_RETURN_IF_ERROR(database_->Execute("PRAGMA secure_delete = FAST"));
  const auto wall =
      std::chrono::duration_cast<std::chrono::microseconds>(options_.wall_now().time_since_epoch());
  DROPOUTD_RETURN_IF_ERROR(MakeSqliteSchema(*database_, wall.count()));
  return statements_.Prepare(database_->handle());
}

SqliteStore::~SqliteStore() {
  // So that the time since the last change is not lost.
  if (writer_ != nullptr) static_cast<void>(Check());
}

// --- Changes --------------------------------------------------------------------------------

void SqliteStore::StartCommit(std::string_view key, StoreChange change, Committed done) {
  if (ByteSize(change) > kMostValueBytes) {
    return done(MakeError(Reason::kStoreUnavailable, "the change is too large for the store"));
  }
  const auto shared = std::make_shared<const StoreChange>(std::move(change));
  writer_->Enqueue(
      {[key = std::string(key), shared](auto& changes) { return changes.Commit(key, *shared); },
       [done = std::move(done)](auto result) { done(Said(std::move(result))); }, Frees(*shared)});
}

absl::Status SqliteStore::Stage(std::string_view key, Token incarnation,
                                std::vector<StoreField> fields) {
  return writer_
      ->Run([&, key = std::string(key)](auto& changes) {
        return changes.Stage(key, incarnation, fields);
      })
      .status();
}

absl::StatusOr<std::uint64_t> SqliteStore::EraseRange(std::string_view key, Token incarnation,
                                                      std::optional<Token> expected,
                                                      const FieldRange& range, std::size_t keep,
                                                      std::size_t most) {
  const auto erase = [&, key = std::string(key)](auto& changes) {
    return changes.EraseRange(key, incarnation, expected, range, keep, most);
  };
  DROPOUTD_ASSIGN_OR_RETURN(const StoreResult erased, Said(writer_->Run(erase, /*frees=*/true)));
  return erased.count;
}

absl::StatusOr<StoreResult> SqliteStore::Remove(std::string_view key, Token incarnation,
                                                Token token) {
  return writer_->Run([&, key = std::string(key)](
                          auto& changes) { return changes.Remove(key, incarnation, token); },
                      /*frees=*/true);
}

absl::Status SqliteStore::RemoveExpired() {
  while (true) {
    DROPOUTD_ASSIGN_OR_RETURN(
        const StoreResult removed,
        writer_->Run([](auto& changes) { return changes.RemoveSomeExpired(); }, /*frees=*/true));
    if (removed.count == 0) return absl::OkStatus();
  }
}

absl::Status SqliteStore::SetAside(const std::string& key, const SqliteRow& row) {
  const auto done = writer_->Run(
      [&](auto& changes) { return changes.SetAside(key, row.incarnation, row.token); });
  return done.ok() ? SqliteSetAside() : done.status();
}

absl::Status SqliteStore::Check() {
  const auto save = [](auto& changes) -> absl::StatusOr<StoreResult> {
    DROPOUTD_RETURN_IF_ERROR(changes.SaveClock());
    return StoreResult();
  };
  return writer_->Run(save).status();
}

// --- Readers --------------------------------------------------------------------------------

template <typename Function>
auto SqliteStore::InReadTransaction(Function read) -> decltype(read()) {
  const std::lock_guard lock(readers_);
  DROPOUTD_RETURN_IF_ERROR(read_statements_.begin.Run());
  auto result = read();
  DROPOUTD_RETURN_IF_ERROR(read_statements_.end.Run());
  return result;
}

absl::StatusOr<StoreAnswer> SqliteStore::Read(std::string_view key, const StoreQuery& query,
                                              SqliteRow& row) {
  const std::int64_t now = clock_.Read();
  DROPOUTD_ASSIGN_OR_RETURN(row, FindSqliteRow(read_statements_.find, key, now));
  if (!row.is_there()) return SqliteNotThere();
  if (row.is_set_aside) return SqliteDamage();
  DROPOUTD_ASSIGN_OR_RETURN(StoreAnswer answer,
                            ReadSqliteSession(read_statements_, row, query.known, now));
  for (const std::string& name : query.fields) {
    DROPOUTD_ASSIGN_OR_RETURN(StoreField field, ReadSqliteField(read_statements_, row, name, now));
    answer.fields.push_back(std::move(field));
  }
  return answer;
}

absl::StatusOr<StoreAnswer> SqliteStore::Query(std::string_view key, const StoreQuery& query) {
  const std::string name(key);
  if (query.ttl.has_value()) {
    const auto renewed =
        Said(writer_->Run([&](auto& changes) { return changes.Renew(name, *query.ttl); }));
    DROPOUTD_RETURN_IF_ERROR(renewed.status());
  }
  SqliteRow row;
  auto answer = InReadTransaction([&] { return Read(key, query, row); });
  if (!IsSqliteDamage(answer.status())) return answer;
  return row.is_set_aside ? SqliteSetAside() : SetAside(name, row);
}

absl::StatusOr<std::unique_ptr<StoreSnapshot>> SqliteStore::Snapshot(std::string_view key) {
  auto place = SqlitePlace::Take(snapshots_, kMostSnapshots);
  if (place == nullptr) {
    return MakeError(Reason::kStoreUnavailable, "too many snapshots of the store are in use");
  }
  return SqliteSnapshot::Open(lock_.path(), key, clock_.Read(), std::move(place),
                              [this, key = std::string(key)](const SqliteRow& row) {
                                return row.is_set_aside ? SqliteSetAside() : SetAside(key, row);
                              });
}

absl::StatusOr<std::vector<Token>> SqliteStore::Tokens(const std::vector<std::string>& keys) {
  return InReadTransaction([&]() -> absl::StatusOr<std::vector<Token>> {
    std::vector<Token> tokens;
    const std::int64_t now = clock_.Read();
    for (const std::string& key : keys) {
      DROPOUTD_ASSIGN_OR_RETURN(const SqliteRow row,
                                FindSqliteRow(read_statements_.find, key, now));
      tokens.push_back(row.is_there() ? row.token : Token());
    }
    return tokens;
  });
}

absl::StatusOr<std::vector<std::string>> SqliteStore::List(std::string_view prefix,
                                                           std::string_view after,
                                                           std::size_t limit) {
  std::vector<std::string> keys;
  const std::string end = AfterPrefix(prefix);
  const auto most = std::min<std::size_t>(limit, std::numeric_limits<std::int64_t>::max());
  const std::lock_guard lock(readers_);
  SqliteStatement& list = end.empty() ? read_statements_.list : read_statements_.list_to;
  list.Bind(1, after).Bind(2, prefix).Bind(3, clock_.Read());
  list.Bind(4, static_cast<std::int64_t>(most));
  if (!end.empty()) list.Bind(5, std::string_view(end));
  while (list.Step()) keys.emplace_back(list.Blob(0));
  DROPOUTD_RETURN_IF_ERROR(list.Reset());
  return keys;
}

}  // namespace dropoutd
