#include "server/store/sqlite_rows.h"

#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/store/framing.h"

namespace dropoutd {
namespace {

absl::StatusOr<StorePart> ReadPart(SqliteStatement& part, std::int64_t session,
                                   const std::string& name) {
  StorePart read{name, std::nullopt};
  absl::Status damage;
  if (part.Bind(1, session).Bind(2, name).Step()) {
    auto value = SqliteValue(name, part.Blob(0));
    damage = value.status();
    if (value.ok()) read.value = *std::move(value);
  }
  DROPOUTD_RETURN_IF_ERROR(part.Reset());
  DROPOUTD_RETURN_IF_ERROR(damage);
  return read;
}

absl::StatusOr<std::vector<StorePart>> ReadParts(SqliteStatement& parts, std::int64_t session) {
  std::vector<StorePart> read;
  absl::Status damage;
  parts.Bind(1, session);
  while (damage.ok() && parts.Step()) {
    std::string name(parts.Blob(0));
    auto value = SqliteValue(name, parts.Blob(1));
    damage = value.status();
    if (value.ok()) read.push_back({std::move(name), *std::move(value)});
  }
  DROPOUTD_RETURN_IF_ERROR(parts.Reset());
  DROPOUTD_RETURN_IF_ERROR(damage);
  return read;
}

}  // namespace

absl::Status SqliteDamage() { return absl::DataLossError("a value has another checksum"); }

bool IsSqliteDamage(const absl::Status& status) {
  return status.code() == absl::StatusCode::kDataLoss && !ReasonOf(status).has_value();
}

absl::Status SqliteSetAside() {
  return MakeError(Reason::kStoreCorrupt,
                   "the store's record of the session is damaged; it was set aside");
}

absl::Status SqliteNotThere() { return absl::NotFoundError("the store has no such session"); }

absl::StatusOr<SqliteRow> FindSqliteRow(SqliteStatement& find, std::string_view key,
                                        std::int64_t now) {
  SqliteRow row;
  bool makes_sense = true;
  if (find.Bind(1, key).Step()) {
    const auto incarnation = Token::FromBytes(find.Blob(1));
    const auto token = Token::FromBytes(find.Blob(2));
    const auto made = Token::FromBytes(find.Blob(3));
    makes_sense = incarnation.has_value() && token.has_value() && made.has_value();
    row.id = find.Integer(0);
    row.incarnation = incarnation.value_or(Token());
    row.token = token.value_or(Token());
    row.made = made.value_or(Token());
    row.expire = find.Integer(4);
    row.has_expired = row.expire <= now;
    row.is_set_aside = find.Integer(5) != 0 || !makes_sense;
  }
  DROPOUTD_RETURN_IF_ERROR(find.Reset());
  return row;
}

absl::StatusOr<ChangeLog> ReadSqliteLog(SqliteStatement& log, std::int64_t session) {
  std::optional<ChangeLog> read;
  if (log.Bind(1, session).Step()) read = ChangeLog::FromBytes(log.Blob(0));
  DROPOUTD_RETURN_IF_ERROR(log.Reset());
  return read.has_value() ? *std::move(read) : ChangeLog();
}

absl::StatusOr<std::string> SqliteValue(std::string_view name, std::string_view framed) {
  const auto value = Unframe(name, framed);
  if (value.has_value()) return std::string(*value);
  if (!IsNewerFrame(framed)) return SqliteDamage();
  return MakeError(Reason::kStoreFormatNewer, "a newer dropoutd has written the session");
}

absl::StatusOr<Token> SqliteFieldToken(std::string_view bytes, Token made) {
  if (bytes.empty()) return made;
  const auto token = Token::FromBytes(bytes);
  if (!token.has_value()) return SqliteDamage();
  return *token;
}

absl::StatusOr<StoreAnswer> ReadSqliteSession(SqliteReadStatements& statements,
                                              const SqliteRow& row, Token known, std::int64_t now) {
  StoreAnswer answer;
  answer.incarnation = row.incarnation;
  answer.token = row.token;
  answer.left = std::chrono::microseconds(row.expire - now);
  if (row.token == known) return answer;
  std::optional<std::set<std::string>> changed;
  if (known) {
    DROPOUTD_ASSIGN_OR_RETURN(const ChangeLog log, ReadSqliteLog(statements.log, row.id));
    changed = log.NamesSince(known);
  }
  answer.is_whole = !changed.has_value();
  if (answer.is_whole) {
    DROPOUTD_ASSIGN_OR_RETURN(answer.parts, ReadParts(statements.parts, row.id));
    return answer;
  }
  for (const std::string& name : *changed) {
    DROPOUTD_ASSIGN_OR_RETURN(StorePart part, ReadPart(statements.part, row.id, name));
    answer.parts.push_back(std::move(part));
  }
  return answer;
}

absl::StatusOr<StoreField> ReadSqliteField(SqliteReadStatements& statements, const SqliteRow& row,
                                           const std::string& name, std::int64_t now) {
  StoreField read{name, std::nullopt, {}};
  absl::Status damage;
  SqliteStatement& field = statements.field;
  if (field.Bind(1, row.id).Bind(2, name).Step()) {
    const bool is_removed = !field.IsNull(1);
    const auto token = SqliteFieldToken(field.Blob(0), row.made);
    damage = token.status();
    if (token.ok() && (!is_removed || field.Integer(1) > now)) read.token = *token;
    if (damage.ok() && !is_removed) {
      auto value = SqliteValue(name, field.Blob(2));
      damage = value.status();
      if (value.ok()) read.value = *std::move(value);
    }
  }
  DROPOUTD_RETURN_IF_ERROR(field.Reset());
  DROPOUTD_RETURN_IF_ERROR(damage);
  return read;
}

}  // namespace dropoutd
