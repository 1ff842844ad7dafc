#include "server/store/sqlite_statements.h"

#include <initializer_list>

#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

struct NamedStatement {
  SqliteStatement& statement;
  const char* sql;
};

absl::Status PrepareAll(sqlite3* db, std::initializer_list<NamedStatement> all) {
  for (const NamedStatement& each : all) {
    DROPOUTD_ASSIGN_OR_RETURN(each.statement, SqliteStatement::Prepare(db, each.sql));
  }
  return absl::OkStatus();
}

constexpr char kFind[] =
    "SELECT id, incarnation, token, made, expire, set_aside FROM sessions WHERE key = ?";
constexpr char kLog[] = "SELECT log FROM sessions WHERE id = ?";

}  // namespace

absl::Status SqliteReadStatements::Prepare(sqlite3* db) {
  return PrepareAll(
      db, {
              {begin, "BEGIN"},
              {end, "COMMIT"},
              {find, kFind},
              {log, kLog},
              {part, "SELECT value FROM parts WHERE session = ? AND name = ?"},
              {parts, "SELECT name, value FROM parts WHERE session = ?"},
              {field, "SELECT token, until, value FROM fields WHERE session = ? AND name = ?"},
              {scan,
               "SELECT name, token, value FROM fields WHERE session = ? AND until IS NULL "
               "ORDER BY name"},
              {list,
               "SELECT key FROM sessions WHERE key > ?1 AND key >= ?2 AND expire > ?3 "
               "ORDER BY key LIMIT ?4"},
              {list_to,
               "SELECT key FROM sessions WHERE key > ?1 AND key >= ?2 AND expire > ?3 "
               "AND key < ?5 ORDER BY key LIMIT ?4"},
          });
}

absl::Status SqliteWriteStatements::Prepare(sqlite3* db) {
  return PrepareAll(
      db, {
              {begin, "BEGIN IMMEDIATE"},
              {commit, "COMMIT"},
              {rollback, "ROLLBACK"},
              {save_clock, "UPDATE clock SET micros = ? WHERE id = 0"},
              {find, kFind},
              {log, kLog},
              {find_staged, "SELECT id, expire, log FROM sessions WHERE staged = ?"},
              {insert,
               "INSERT INTO sessions(key, incarnation, token, made, expire, log) "
               "VALUES(?1, ?2, ?3, ?3, ?4, ?5)"},
              {insert_staged,
               "INSERT INTO sessions(staged, incarnation, token, made, expire, log) "
               "VALUES(?1, ?2, x'', x'', ?3, ?4)"},
              {update_staged, "UPDATE sessions SET expire = ?, log = ? WHERE id = ?"},
              {claim,
               "UPDATE sessions SET key = ?1, staged = NULL, incarnation = ?2, token = ?3, "
               "made = ?3, expire = ?4, log = ?5 WHERE id = ?6"},
              {update_token, "UPDATE sessions SET token = ?, log = ? WHERE id = ?"},
              {update_expire, "UPDATE sessions SET expire = ? WHERE id = ?"},
              {set_aside,
               "UPDATE sessions SET set_aside = 1, token = ? "
               "WHERE key = ? AND incarnation = ? AND token = ?"},
              {forget, "UPDATE sessions SET key = NULL, staged = NULL, expire = 0 WHERE id = ?"},
              {remove, "DELETE FROM sessions WHERE id = ?"},
              {erase_some_fields,
               "DELETE FROM fields WHERE session = ?1 AND name IN "
               "(SELECT name FROM fields WHERE session = ?1 LIMIT ?2)"},
              {erase_parts, "DELETE FROM parts WHERE session = ?"},
              {put_part, "INSERT OR REPLACE INTO parts(session, name, value) VALUES(?, ?, ?)"},
              {erase_part, "DELETE FROM parts WHERE session = ? AND name = ?"},
              {field_token, "SELECT token, until FROM fields WHERE session = ? AND name = ?"},
              {put_field,
               "INSERT OR REPLACE INTO fields(token, until, value, session, name) "
               "VALUES(?, ?, ?, ?, ?)"},
              {update_field,
               "UPDATE fields SET token = ?, until = ?, value = ? WHERE session = ? AND name = ?"},
              {count_range,
               "SELECT count(*) FROM fields WHERE session = ? AND name >= ? AND name < ? "
               "AND until IS NULL"},
              {erase_range,
               "DELETE FROM fields WHERE session = ?1 AND name IN (SELECT name FROM fields "
               "WHERE session = ?1 AND name >= ?2 AND name < ?3 AND until IS NULL "
               "ORDER BY name LIMIT ?4)"},
              {removal, "SELECT token, until FROM removals WHERE key = ?"},
              {put_removal, "INSERT OR REPLACE INTO removals(key, token, until) VALUES(?, ?, ?)"},
              {count_keys, "SELECT count(*) FROM sessions WHERE key >= ?"},
              {count_keys_to, "SELECT count(*) FROM sessions WHERE key >= ? AND key < ?"},
              {expired_keys, "SELECT key FROM sessions WHERE expire <= ? AND key IS NOT NULL"},
              {expired, "SELECT id, key FROM sessions WHERE expire <= ? LIMIT 100"},
              {erase_old_tombstones,
               "DELETE FROM fields WHERE (session, name) IN "
               "(SELECT session, name FROM fields WHERE until <= ? LIMIT 1000)"},
              {erase_old_removals, "DELETE FROM removals WHERE until <= ?"},
          });
}

}  // namespace dropoutd
