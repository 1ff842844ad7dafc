#include "server/store/sqlite_snapshot.h"

#include <algorithm>
#include <utility>

#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

// A page of fields ends after so much, however many were asked for.
constexpr std::size_t kMostBytesAtOnce = std::size_t{16} << 20;

}  // namespace

std::unique_ptr<SqlitePlace> SqlitePlace::Take(std::atomic<int>& taken, int most) {
  if (++taken > most) {
    --taken;
    return nullptr;
  }
  return std::unique_ptr<SqlitePlace>(new SqlitePlace(taken));
}

absl::StatusOr<std::unique_ptr<StoreSnapshot>> SqliteSnapshot::Open(
    const std::string& path, std::string_view key, std::int64_t now,
    std::unique_ptr<SqlitePlace> place, SetAside set_aside) {
  std::unique_ptr<SqliteSnapshot> snapshot(
      new SqliteSnapshot(std::move(place), std::move(set_aside)));
  const absl::Status status = snapshot->Begin(path, key, now);
  if (IsSqliteDamage(status)) return snapshot->set_aside_(snapshot->row_);
  DROPOUTD_RETURN_IF_ERROR(status);
  return snapshot;
}

absl::Status SqliteSnapshot::Begin(const std::string& path, std::string_view key,
                                   std::int64_t now) {
  DROPOUTD_ASSIGN_OR_RETURN(database_, SqliteDatabase::Open(path, /*read_only=*/true));
  DROPOUTD_RETURN_IF_ERROR(statements_.Prepare(database_->handle()));
  DROPOUTD_RETURN_IF_ERROR(statements_.begin.Run());
  DROPOUTD_ASSIGN_OR_RETURN(row_, FindSqliteRow(statements_.find, key, now));
  if (!row_.is_there()) return SqliteNotThere();
  if (row_.is_set_aside) return SqliteDamage();
  DROPOUTD_ASSIGN_OR_RETURN(session_, ReadSqliteSession(statements_, row_, Token(), now));
  statements_.scan.Bind(1, row_.id);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoreField>> SqliteSnapshot::Next(std::size_t limit) {
  DROPOUTD_RETURN_IF_ERROR(failed_);
  auto fields = Read(limit);
  if (IsSqliteDamage(fields.status())) fields = set_aside_(row_);
  failed_ = fields.status();
  return fields;
}

// The scan goes on where it has stopped.
absl::StatusOr<std::vector<StoreField>> SqliteSnapshot::Read(std::size_t limit) {
  std::vector<StoreField> fields;
  std::size_t byte_size = 0;
  const std::size_t most = std::max<std::size_t>(limit, 1);
  while (!is_over_ && fields.size() < most && byte_size < kMostBytesAtOnce) {
    if (!statements_.scan.Step()) {
      is_over_ = true;
      DROPOUTD_RETURN_IF_ERROR(statements_.scan.Reset());
      break;
    }
    StoreField& field = fields.emplace_back();
    DROPOUTD_RETURN_IF_ERROR(ReadField(field));
    byte_size += field.name.size() + field.value->size();
  }
  return fields;
}

absl::Status SqliteSnapshot::ReadField(StoreField& field) {
  field.name = statements_.scan.Blob(0);
  DROPOUTD_ASSIGN_OR_RETURN(field.token, SqliteFieldToken(statements_.scan.Blob(1), row_.made));
  DROPOUTD_ASSIGN_OR_RETURN(field.value, SqliteValue(field.name, statements_.scan.Blob(2)));
  return absl::OkStatus();
}

}  // namespace dropoutd
