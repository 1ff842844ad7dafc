#include "server/store/sqlite_statements.h"

#include "server/base/status_macros.h"

namespace dropoutd {

const char* const kSqliteSchema = R"sql(
  CREATE TABLE sessions(
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, version INTEGER NOT NULL,
    expire INTEGER NOT NULL, document BLOB NOT NULL);
  CREATE INDEX sessions_by_expire ON sessions(expire);
  CREATE TABLE fields(
    session INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY(session, name)) WITHOUT ROWID;
  PRAGMA user_version = 1;
)sql";

absl::Status SqliteStatements::Prepare(sqlite3* db) {
  struct Named {
    SqliteStatement& statement;
    const char* sql;
  };
  for (const Named& each : {
           Named{begin, "BEGIN IMMEDIATE"},
           Named{commit, "COMMIT"},
           Named{rollback, "ROLLBACK"},
           Named{find, "SELECT id, version, expire FROM sessions WHERE key = ?"},
           Named{document, "SELECT document FROM sessions WHERE id = ?"},
           Named{insert, "INSERT INTO sessions(key, version, expire, document) VALUES(?, 1, ?, ?)"},
           Named{update_document,
                 "UPDATE sessions SET document = ?, version = version + 1 WHERE id = ?"},
           Named{update_expire, "UPDATE sessions SET expire = ? WHERE id = ?"},
           Named{remove, "DELETE FROM sessions WHERE id = ?"},
           Named{set_aside, "UPDATE sessions SET version = -abs(version) WHERE key = ?"},
           Named{field, "SELECT value FROM fields WHERE session = ? AND name = ?"},
           Named{put_field, "INSERT OR REPLACE INTO fields(session, name, value) VALUES(?, ?, ?)"},
           Named{erase_field, "DELETE FROM fields WHERE session = ? AND name = ?"},
           Named{erase_fields, "DELETE FROM fields WHERE session = ?"},
           Named{scan,
                 "SELECT name, value FROM fields WHERE session = ? AND name >= ? AND name < ? "
                 "ORDER BY name LIMIT ?"},
           Named{count_range,
                 "SELECT count(*) FROM fields WHERE session = ? AND name >= ? AND name < ?"},
           Named{erase_range,
                 "DELETE FROM fields WHERE session = ?1 AND name IN (SELECT name FROM fields "
                 "WHERE session = ?1 AND name >= ?2 AND name < ?3 ORDER BY name LIMIT ?4)"},
           Named{list,
                 "SELECT key FROM sessions WHERE key > ?1 AND key >= ?2 AND expire > ?3 "
                 "ORDER BY key LIMIT ?4"},
           Named{list_to,
                 "SELECT key FROM sessions WHERE key > ?1 AND key >= ?2 AND expire > ?3 "
                 "AND key < ?5 ORDER BY key LIMIT ?4"},
           Named{expired, "SELECT id FROM sessions WHERE expire <= ? LIMIT 1000"},
       }) {
    DROPOUTD_ASSIGN_OR_RETURN(each.statement, SqliteStatement::Prepare(db, each.sql));
  }
  return absl::OkStatus();
}

}  // namespace dropoutd
