#include "server/store/sqlite_schema.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/store/sqlite_clock.h"

namespace dropoutd {
namespace {

// A session's key is NULL before it is made and after it is removed, while its fields wait:
// `staged` is then its key and incarnation, and `log` the number of its fields, or NULL too. `made`
// is the token of fields whose own is empty. `until` is when a field's tombstone goes; NULL: the
// field is there. Values are framed (framing.h), and come last in a row: what else is in it is read
// without them.
constexpr char kTables[] = R"sql(
  CREATE TABLE clock(id INTEGER PRIMARY KEY CHECK(id = 0), micros INTEGER NOT NULL);
  CREATE TABLE sessions(
    id INTEGER PRIMARY KEY, key BLOB UNIQUE, staged BLOB, incarnation BLOB NOT NULL,
    token BLOB NOT NULL, made BLOB NOT NULL, expire INTEGER NOT NULL,
    set_aside INTEGER NOT NULL DEFAULT 0, log BLOB NOT NULL DEFAULT x'');
  CREATE INDEX sessions_by_expire ON sessions(expire);
  CREATE UNIQUE INDEX sessions_by_staged ON sessions(staged) WHERE staged IS NOT NULL;
  CREATE TABLE parts(
    session INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY(session, name)) WITHOUT ROWID;
  CREATE TABLE fields(
    session INTEGER NOT NULL, name BLOB NOT NULL, token BLOB NOT NULL, until INTEGER,
    value BLOB NOT NULL, PRIMARY KEY(session, name)) WITHOUT ROWID;
  CREATE INDEX fields_by_until ON fields(until) WHERE until IS NOT NULL;
  CREATE TABLE removals(key BLOB PRIMARY KEY, token BLOB NOT NULL, until INTEGER NOT NULL)
    WITHOUT ROWID;
  PRAGMA user_version = 2;
)sql";

constexpr char kSetOldAside[] = R"sql(
  ALTER TABLE sessions RENAME TO old_sessions;
  ALTER TABLE fields RENAME TO old_fields;
  DROP INDEX sessions_by_expire;
)sql";

// The document becomes the part of that name, which its frame names already. A negative version is
// that of a session that is set aside.
constexpr char kMoveOld[] = R"sql(
  INSERT INTO sessions(id, key, incarnation, token, made, expire, set_aside)
    SELECT id, key, randomblob(16), randomblob(16), randomblob(16), expire - $0 + $1, version < 0
    FROM old_sessions;
  INSERT INTO parts(session, name, value)
    SELECT id, CAST('document' AS BLOB), document FROM old_sessions;
  INSERT INTO fields(session, name, token, value) SELECT session, name, x'', value FROM old_fields;
  DROP TABLE old_sessions;
  DROP TABLE old_fields;
)sql";

}  // namespace

absl::Status MakeSqliteSchema(SqliteDatabase& database, std::int64_t wall_micros) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::int64_t version,
                            database.ReadInteger("PRAGMA user_version"));
  if (version > kSqliteSchemaVersion) {
    return MakeError(Reason::kStoreUnavailable,
                     absl::StrCat("a newer dropoutd has written it (schema ", version,
                                  ", this one knows ", kSqliteSchemaVersion, ")"));
  }
  if (version == kSqliteSchemaVersion) return absl::OkStatus();
  DROPOUTD_ASSIGN_OR_RETURN(const std::int64_t tables,
                            database.ReadInteger("SELECT count(*) FROM sqlite_schema"));
  const bool is_empty = tables == 0;
  if (version == 0 && !is_empty) {
    return MakeError(Reason::kStoreUnavailable, "is the database of another program");
  }
  const std::string clock =
      absl::StrCat("INSERT INTO clock(id, micros) VALUES(0, ", SqliteClock::kBeginning, ");");
  const std::string move = absl::Substitute(kMoveOld, wall_micros, SqliteClock::kBeginning);
  const absl::Status made =
      database.Execute(absl::StrCat("BEGIN IMMEDIATE;", is_empty ? "" : kSetOldAside, kTables,
                                    clock, is_empty ? "" : move, "COMMIT"));
  if (!made.ok()) static_cast<void>(database.Execute("ROLLBACK"));
  return made;
}

}  // namespace dropoutd
