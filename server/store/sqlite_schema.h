// The tables of the SQLite store, and how an older file gets them.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_SCHEMA_H_
#define DROPOUTD_SERVER_STORE_SQLITE_SCHEMA_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/store/sqlite_database.h"

namespace dropoutd {

// The file's user_version. A server upgrades a file with a lower one.
//  1: a session is a version, a document and fields; its end is by the machine's clock.
//  2: a session is an incarnation, a token, parts and fields with tokens; its end is by the file's
//     own clock.
inline constexpr std::int64_t kSqliteSchemaVersion = 2;

// Makes the tables of an empty file, or brings an older file's up to date, whole or not at all.
// `wall_micros` is the machine's clock, by which a file of schema 1 has what it has left.
// STORE_UNAVAILABLE, with a message for the operator, for a newer file or another program's.
absl::Status MakeSqliteSchema(SqliteDatabase& database, std::int64_t wall_micros);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_SCHEMA_H_
