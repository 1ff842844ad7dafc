// Reads the rows of the SQLite store, and knows damage.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_ROWS_H_
#define DROPOUTD_SERVER_STORE_SQLITE_ROWS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/token.h"
#include "server/store/change_log.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_statements.h"
#include "server/store/store.h"

namespace dropoutd {

// A session as its row has it.
struct SqliteRow {
  std::int64_t id = 0;  // 0: there is none.
  Token incarnation;
  Token token;
  Token made;
  std::int64_t expire = 0;
  bool has_expired = false;
  bool is_set_aside = false;

  bool is_there() const { return id != 0 && !has_expired; }
};

// A value that is damaged: DATA_LOSS without a reason, until its session is set aside.
absl::Status SqliteDamage();
bool IsSqliteDamage(const absl::Status& status);
// What is said of such a session.
absl::Status SqliteSetAside();
absl::Status SqliteNotThere();

// `find` is the statement of either connection. A row that makes no sense is as one set aside.
absl::StatusOr<SqliteRow> FindSqliteRow(SqliteStatement& find, std::string_view key,
                                        std::int64_t now);

// Empty where it makes no sense: then no change is known.
absl::StatusOr<ChangeLog> ReadSqliteLog(SqliteStatement& log, std::int64_t session);

// The value in a frame: damage, or STORE_FORMAT_NEWER.
absl::StatusOr<std::string> SqliteValue(std::string_view name, std::string_view framed);

// A field's token; an empty one is that of the change which made the session. Damage.
absl::StatusOr<Token> SqliteFieldToken(std::string_view bytes, Token made);

// Without fields. `left` is counted from `now`. Inside a transaction that reads.
absl::StatusOr<StoreAnswer> ReadSqliteSession(SqliteReadStatements& statements,
                                              const SqliteRow& row, Token known, std::int64_t now);

absl::StatusOr<StoreField> ReadSqliteField(SqliteReadStatements& statements, const SqliteRow& row,
                                           const std::string& name, std::int64_t now);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_ROWS_H_
