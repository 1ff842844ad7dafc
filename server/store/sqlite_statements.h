// The tables of the SQLite store, and what it asks of them.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_STATEMENTS_H_
#define DROPOUTD_SERVER_STORE_SQLITE_STATEMENTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/store/sqlite_database.h"

namespace dropoutd {

// The file's user_version. A server upgrades a file with a lower one.
inline constexpr std::int64_t kSqliteSchemaVersion = 1;

// Makes the tables, and sets the version. A session's version is negative from the moment that it
// is set aside; values are framed (framing.h).
extern const char* const kSqliteSchema;

// Of one connection. Not thread-safe.
struct SqliteStatements {
  SqliteStatement begin, commit, rollback;
  SqliteStatement find, document, insert, update_document, update_expire, remove, set_aside;
  SqliteStatement field, put_field, erase_field, erase_fields, scan, count_range, erase_range;
  SqliteStatement list, list_to, expired;

  absl::Status Prepare(sqlite3* db);
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_STATEMENTS_H_
