// What the SQLite store asks of its tables (sqlite_schema.h).
#ifndef DROPOUTD_SERVER_STORE_SQLITE_STATEMENTS_H_
#define DROPOUTD_SERVER_STORE_SQLITE_STATEMENTS_H_

#include "absl/status/status.h"
#include "server/store/sqlite_database.h"

namespace dropoutd {

// Of one connection that reads. Not thread-safe.
struct SqliteReadStatements {
  SqliteStatement begin, end;
  SqliteStatement find, log, part, parts, field, scan, list, list_to;

  absl::Status Prepare(sqlite3* db);
};

// Of the connection that writes. Not thread-safe.
struct SqliteWriteStatements {
  SqliteStatement begin, commit, rollback, save_clock;
  SqliteStatement find, log, find_staged, insert, insert_staged, update_staged, claim;
  SqliteStatement update_token, update_expire, set_aside;
  SqliteStatement forget, remove, erase_some_fields, erase_parts;
  SqliteStatement put_part, erase_part;
  SqliteStatement field_token, put_field, update_field, count_range, erase_range;
  SqliteStatement removal, put_removal;
  SqliteStatement count_keys, count_keys_to, expired_keys;
  SqliteStatement expired, erase_old_tombstones, erase_old_removals;

  absl::Status Prepare(sqlite3* db);
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_STATEMENTS_H_
