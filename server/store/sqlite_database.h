// A connection to a SQLite file, and its statements.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_DATABASE_H_
#define DROPOUTD_SERVER_STORE_SQLITE_DATABASE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/token.h"

namespace dropoutd {

// What SQLite's result says: OK, STORE_CORRUPT, or STORE_UNAVAILABLE with SQLite's own words for
// the kind of error, which name no path.
absl::Status SqliteStatus(int result);

// A statement, with what it needs to be run again and again. Not thread-safe. A step that is not
// SQLITE_ROW or SQLITE_DONE is an error; Reset says whether there was one.
class SqliteStatement {
 public:
  SqliteStatement() = default;
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&& other) noexcept;
  ~SqliteStatement() { sqlite3_finalize(statement_); }

  static absl::StatusOr<SqliteStatement> Prepare(sqlite3* database, const char* sql);

  // Parameters, from 1 on. What they refer to must stay until Reset.
  SqliteStatement& Bind(int at, std::int64_t value);
  SqliteStatement& Bind(int at, std::string_view blob);
  // Copied; it need not stay.
  SqliteStatement& Bind(int at, Token token);
  SqliteStatement& Bind(int at, std::nullopt_t null);

  // Whether there is a row.
  bool Step();

  std::int64_t Integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string_view Blob(int column) const;
  bool IsNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

  // Ends a run; what went wrong in it, if anything.
  absl::Status Reset();

  // Step and Reset of a statement that answers no rows.
  absl::Status Run() {
    Step();
    return Reset();
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int result_ = SQLITE_OK;
};

// Not thread-safe.
class SqliteDatabase {
 public:
  // Opens, or makes, the file at `path`.
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(const std::string& path,
                                                              bool read_only);
  ~SqliteDatabase() { sqlite3_close(handle_); }
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  sqlite3* handle() { return handle_; }

  // Runs statements without parameters; rows are dropped.
  absl::Status Execute(const std::string& sql);

  // Moves what the log has into the file, and makes the log short, if no reader holds it up. What
  // cannot be moved now stays in the log.
  void Checkpoint();

  // Rows that the last statement has changed.
  std::uint64_t changes() const { return static_cast<std::uint64_t>(sqlite3_changes(handle_)); }
  std::int64_t last_row() const { return sqlite3_last_insert_rowid(handle_); }
  absl::StatusOr<std::int64_t> ReadInteger(const char* sql);

 private:
  SqliteDatabase() = default;

  sqlite3* handle_ = nullptr;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_DATABASE_H_
