#include "server/store/sqlite_database.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

// A checkpoint may hold a reader up; another program that looks at the file, a writer.
constexpr int kBusyMilliseconds = 5000;

}  // namespace

absl::Status SqliteStatus(int result) {
  const int kind = result & 0xFF;
  if (kind == SQLITE_OK || kind == SQLITE_ROW || kind == SQLITE_DONE) return absl::OkStatus();
  if (kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB) {
    return MakeError(Reason::kStoreCorrupt, "the store's file is damaged, or is no database");
  }
  return MakeError(Reason::kStoreUnavailable,
                   absl::StrCat("the store cannot be used: ", sqlite3_errstr(kind)));
}

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)), result_(other.result_) {}

SqliteStatement& SqliteStatement::operator=(SqliteStatement&& other) noexcept {
  std::swap(statement_, other.statement_);
  std::swap(result_, other.result_);
  return *this;
}

absl::StatusOr<SqliteStatement> SqliteStatement::Prepare(sqlite3* database, const char* sql) {
  SqliteStatement prepared;
  DROPOUTD_RETURN_IF_ERROR(SqliteStatus(sqlite3_prepare_v3(
      database, sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared.statement_, nullptr)));
  return prepared;
}

SqliteStatement& SqliteStatement::Bind(int at, std::int64_t value) {
  const int result = sqlite3_bind_int64(statement_, at, value);
  if (result != SQLITE_OK) result_ = result;
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int at, std::string_view blob) {
  // A null pointer would mean NULL.
  const char* const data = blob.empty() ? "" : blob.data();
  const int result = sqlite3_bind_blob64(statement_, at, data, blob.size(), SQLITE_STATIC);
  if (result != SQLITE_OK) result_ = result;
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int at, Token token) {
  const std::string bytes = token.Bytes();
  const int result =
      sqlite3_bind_blob64(statement_, at, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
  if (result != SQLITE_OK) result_ = result;
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int at, std::nullopt_t /*null*/) {
  const int result = sqlite3_bind_null(statement_, at);
  if (result != SQLITE_OK) result_ = result;
  return *this;
}

bool SqliteStatement::Step() {
  if (result_ != SQLITE_OK && result_ != SQLITE_ROW) return false;
  result_ = sqlite3_step(statement_);
  return result_ == SQLITE_ROW;
}

std::string_view SqliteStatement::Blob(int column) const {
  const auto* const data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

absl::Status SqliteStatement::Reset() {
  sqlite3_reset(statement_);
  return SqliteStatus(std::exchange(result_, SQLITE_OK));
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path,
                                                                     bool read_only) {
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase());
  const int access = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  DROPOUTD_RETURN_IF_ERROR(SqliteStatus(
      sqlite3_open_v2(path.c_str(), &database->handle_, access | SQLITE_OPEN_NOMUTEX, nullptr)));
  sqlite3_busy_timeout(database->handle_, kBusyMilliseconds);
  return database;
}

absl::Status SqliteDatabase::Execute(const std::string& sql) {
  return SqliteStatus(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr));
}

void SqliteDatabase::Checkpoint() {
  sqlite3_busy_timeout(handle_, 0);
  sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  sqlite3_busy_timeout(handle_, kBusyMilliseconds);
}

absl::StatusOr<std::int64_t> SqliteDatabase::ReadInteger(const char* sql) {
  DROPOUTD_ASSIGN_OR_RETURN(SqliteStatement statement, SqliteStatement::Prepare(handle_, sql));
  const std::int64_t value = statement.Step() ? statement.Integer(0) : 0;
  DROPOUTD_RETURN_IF_ERROR(statement.Reset());
  return value;
}

}  // namespace dropoutd
