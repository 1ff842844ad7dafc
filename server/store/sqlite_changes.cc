#include "server/store/sqlite_changes.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/change_log.h"
#include "server/store/framing.h"
#include "server/store/store_rules.h"

namespace dropoutd {
namespace {

// By how much the clock in the file may be behind after a change: each save is a page to write.
constexpr std::int64_t kMostClockBehind = 10'000;  // Microseconds.

// That one transaction removes with a session.
constexpr std::uint64_t kMostFields = 1000;
constexpr std::uint64_t kMostFieldsWithLittleRoom = 5;

FieldRange Both(const FieldRange& a, const FieldRange& b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}

// The same names, in ranges that do not overlap.
std::vector<FieldRange> Disjoint(std::vector<FieldRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const FieldRange& a, const FieldRange& b) { return a.first < b.first; });
  std::vector<FieldRange> disjoint;
  for (FieldRange& range : ranges) {
    if (range.last <= range.first) continue;
    if (!disjoint.empty() && range.first <= disjoint.back().last) {
      disjoint.back().last = std::max(disjoint.back().last, range.last);
    } else {
      disjoint.push_back(std::move(range));
    }
  }
  return disjoint;
}

}  // namespace

std::int64_t SqliteChanges::TakeCountChange() { return std::exchange(count_change_, 0); }

std::uint64_t SqliteChanges::MostFields() const {
  return has_little_room_ ? kMostFieldsWithLittleRoom : kMostFields;
}

absl::Status SqliteChanges::SaveClock() {
  const std::int64_t now = clock_.Read();
  DROPOUTD_RETURN_IF_ERROR(statements_.save_clock.Bind(1, now).Run());
  clock_saved_ = now;
  return absl::OkStatus();
}

absl::Status SqliteChanges::SaveClockNowAndThen() {
  return clock_.Read() - clock_saved_ < kMostClockBehind ? absl::OkStatus() : SaveClock();
}

void SqliteChanges::Undo() {
  count_change_ = 0;
  clock_saved_ = 0;
  counts_.Forget();
}

absl::StatusOr<SqliteRow> SqliteChanges::Find(const std::string& key) {
  return FindSqliteRow(statements_.find, key, clock_.Read());
}

absl::StatusOr<SqliteRow> SqliteChanges::FindIncarnation(const std::string& key,
                                                         Token incarnation) {
  DROPOUTD_ASSIGN_OR_RETURN(const SqliteRow row, Find(key));
  if (!row.is_there()) return SqliteRow();
  if (row.is_set_aside) return SqliteDamage();
  return row.incarnation == incarnation ? row : SqliteRow();
}

absl::StatusOr<Token> SqliteChanges::RemovalOf(const std::string& key) {
  Token token;
  SqliteStatement& removal = statements_.removal;
  if (removal.Bind(1, key).Step() && removal.Integer(1) > clock_.Read()) {
    token = Token::FromBytes(removal.Blob(0)).value_or(Token());
  }
  DROPOUTD_RETURN_IF_ERROR(removal.Reset());
  return token;
}

absl::StatusOr<SqliteChanges::Field> SqliteChanges::FindField(const SqliteRow& row,
                                                              const std::string& name) {
  Field found;
  if (row.id == 0) return found;
  absl::StatusOr<Token> token = Token();
  SqliteStatement& field = statements_.field_token;
  if (field.Bind(1, row.id).Bind(2, name).Step()) {
    found.has_row = true;
    found.exists = field.IsNull(1);
    if (found.exists || field.Integer(1) > clock_.Read()) {
      token = SqliteFieldToken(field.Blob(0), row.made);
    }
  }
  DROPOUTD_RETURN_IF_ERROR(field.Reset());
  DROPOUTD_ASSIGN_OR_RETURN(found.token, std::move(token));
  return found;
}

// --- Commit ---------------------------------------------------------------------------------

absl::StatusOr<StoreResult> SqliteChanges::Commit(const std::string& key,
                                                  const StoreChange& change) {
  DROPOUTD_ASSIGN_OR_RETURN(SqliteRow row, FindIncarnation(key, change.incarnation));
  DROPOUTD_ASSIGN_OR_RETURN(std::vector<Field> fields, FindFields(row, change));
  DROPOUTD_ASSIGN_OR_RETURN(const auto repeat, FindRepeat(row, change, fields));
  if (repeat.has_value()) return *repeat;
  if (change.makes.has_value()) return Make(key, change);
  if (row.id == 0) return Refused(StoreOutcome::kAbsent);
  if (change.expected.value_or(row.token) != row.token) return Conflict(row.token, true);
  std::optional<StoreResult> refused = CheckWrites(change, fields);
  if (refused.has_value()) return *std::move(refused);
  DROPOUTD_ASSIGN_OR_RETURN(refused, CheckErases(row, change));
  if (refused.has_value()) return *std::move(refused);
  DROPOUTD_ASSIGN_OR_RETURN(refused, CheckLimit(row, change, fields));
  if (refused.has_value()) return *std::move(refused);

  // From here on whatever fails undoes the transaction.
  std::uint64_t erased = 0;
  for (const FieldRange& range : change.erases) {
    DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t gone,
                              Erase(row, range, std::numeric_limits<std::int64_t>::max()));
    erased += gone;
    // What is written there is no longer there before it is.
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (IsIn(change.writes[i].name, range) && fields[i].exists) fields[i] = Field();
    }
  }
  if (Renames(change)) {
    DROPOUTD_ASSIGN_OR_RETURN(ChangeLog log, ReadSqliteLog(statements_.log, row.id));
    log.Add(change, erased);
    const std::string bytes = log.Bytes();
    DROPOUTD_RETURN_IF_ERROR(
        statements_.update_token.Bind(1, change.token).Bind(2, bytes).Bind(3, row.id).Run());
    row.token = change.token;
  }
  DROPOUTD_RETURN_IF_ERROR(WriteParts(row, change));
  DROPOUTD_RETURN_IF_ERROR(WriteFields(row, change, fields));
  DROPOUTD_RETURN_IF_ERROR(Prolong(row, change.ttl));
  return Done(row.token, erased);
}

absl::StatusOr<std::vector<SqliteChanges::Field>> SqliteChanges::FindFields(
    const SqliteRow& row, const StoreChange& change) {
  std::vector<Field> fields;
  fields.reserve(change.writes.size());
  for (const FieldWrite& write : change.writes) {
    DROPOUTD_ASSIGN_OR_RETURN(const Field field, FindField(row, write.name));
    fields.push_back(field);
  }
  return fields;
}

absl::StatusOr<std::optional<StoreResult>> SqliteChanges::FindRepeat(
    const SqliteRow& row, const StoreChange& change, const std::vector<Field>& fields) {
  std::optional<StoreResult> repeat;
  if (row.id == 0) return repeat;
  if (Renames(change)) {
    DROPOUTD_ASSIGN_OR_RETURN(const ChangeLog log, ReadSqliteLog(statements_.log, row.id));
    if (const ChangeLog::Entry* const made = log.Find(change.token)) {
      repeat = Done(row.token, made->erased);
    }
  } else if (!fields.empty() && fields.front().token == change.token) {
    repeat = Done(row.token);
  }
  if (repeat.has_value()) DROPOUTD_RETURN_IF_ERROR(Prolong(row, change.ttl));
  return repeat;
}

absl::StatusOr<StoreResult> SqliteChanges::Make(const std::string& key, const StoreChange& change) {
  DROPOUTD_ASSIGN_OR_RETURN(auto refused, CheckMaking(key, change));
  if (refused.has_value()) return *std::move(refused);
  SqliteRow row;
  std::vector<Field> fields(change.writes.size());
  refused = CheckWrites(change, fields);
  if (refused.has_value()) return *std::move(refused);
  DROPOUTD_ASSIGN_OR_RETURN(const Staged staged, FindStaged(key + change.incarnation.Bytes()));
  if (staged.count < change.staged) return Refused(StoreOutcome::kStagedLost);
  row.id = staged.id;
  row.made = change.token;
  DROPOUTD_ASSIGN_OR_RETURN(fields, FindFields(row, change));
  DROPOUTD_ASSIGN_OR_RETURN(refused, CheckErases(row, change));
  if (refused.has_value()) return *std::move(refused);
  DROPOUTD_ASSIGN_OR_RETURN(refused, CheckLimit(row, change, fields));
  if (refused.has_value()) return *std::move(refused);

  // One that has expired may be in its place.
  DROPOUTD_ASSIGN_OR_RETURN(const SqliteRow old, Find(key));
  if (old.id != 0) {
    DROPOUTD_RETURN_IF_ERROR(RemoveRow(old.id, std::string_view(key), MostFields()).status());
  }
  DROPOUTD_ASSIGN_OR_RETURN(row.id, InsertRow(key, change, staged.id));
  ++count_change_;
  counts_.AddSession(key);
  DROPOUTD_RETURN_IF_ERROR(WriteParts(row, change));
  DROPOUTD_RETURN_IF_ERROR(WriteFields(row, change, fields));
  return Done(change.token);
}

absl::StatusOr<std::optional<StoreResult>> SqliteChanges::CheckMaking(const std::string& key,
                                                                      const StoreChange& change) {
  using Refusal = std::optional<StoreResult>;
  DROPOUTD_ASSIGN_OR_RETURN(const SqliteRow row, Find(key));
  if (row.is_there()) return Refusal(Conflict(row.token, true));
  DROPOUTD_ASSIGN_OR_RETURN(const Token removal, RemovalOf(key));
  if (change.expected.value_or(removal) != removal) return Refusal(Conflict(removal, false));
  const std::int64_t now = clock_.Read();
  DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t of_tenant,
                            counts_.Sessions(change.makes->prefix, now));
  if (of_tenant >= change.makes->most_of_tenant) {
    return Refusal(Refused(StoreOutcome::kTenantFull, of_tenant));
  }
  DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t all, counts_.Sessions("", now));
  if (all >= change.makes->most) return Refusal(Refused(StoreOutcome::kFullOfSessions, all));
  return Refusal();
}

absl::StatusOr<SqliteChanges::Staged> SqliteChanges::FindStaged(const std::string& staged) {
  Staged found;
  bool has_expired = false;
  SqliteStatement& find = statements_.find_staged;
  if (find.Bind(1, staged).Step()) {
    found.id = find.Integer(0);
    has_expired = find.Integer(1) <= clock_.Read();
    const std::string_view count = find.Blob(2);
    (void)absl::SimpleAtoi(absl::string_view(count.data(), count.size()), &found.count);
  }
  DROPOUTD_RETURN_IF_ERROR(find.Reset());
  if (!has_expired) return found;
  DROPOUTD_RETURN_IF_ERROR(RemoveRow(found.id, std::nullopt, MostFields()).status());
  return Staged();
}

absl::StatusOr<std::int64_t> SqliteChanges::InsertRow(const std::string& key,
                                                      const StoreChange& change,
                                                      std::int64_t staged) {
  ChangeLog log;
  log.Add(change, 0);
  const std::string bytes = log.Bytes();
  const bool is_new = staged == 0;
  SqliteStatement& statement = is_new ? statements_.insert : statements_.claim;
  statement.Bind(1, key).Bind(2, change.incarnation).Bind(3, change.token);
  statement.Bind(4, clock_.After(change.ttl.value_or(std::chrono::nanoseconds(0))));
  statement.Bind(5, bytes);
  if (!is_new) statement.Bind(6, staged);
  DROPOUTD_RETURN_IF_ERROR(statement.Run());
  return is_new ? database_.last_row() : staged;
}

std::optional<StoreResult> SqliteChanges::CheckWrites(const StoreChange& change,
                                                      const std::vector<Field>& fields) {
  bool is_free = true;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    is_free = is_free && fields[i].token == change.writes[i].replaces;
  }
  if (is_free) return std::nullopt;
  StoreResult occupied = Refused(StoreOutcome::kOccupied);
  for (const Field& field : fields) occupied.found.push_back(field.token);
  return occupied;
}

absl::StatusOr<std::optional<StoreResult>> SqliteChanges::CheckErases(const SqliteRow& row,
                                                                      const StoreChange& change) {
  std::uint64_t count = 0;
  for (const FieldRange& range : Disjoint(change.erases)) {
    DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t some, counts_.CountFields(row.id, range));
    count += some;
  }
  if (count <= change.most_erased) return std::optional<StoreResult>();
  return std::optional<StoreResult>(Refused(StoreOutcome::kTooMany, count));
}

absl::StatusOr<std::optional<StoreResult>> SqliteChanges::CheckLimit(
    const SqliteRow& row, const StoreChange& change, const std::vector<Field>& fields) {
  if (!change.limit.has_value()) return std::optional<StoreResult>();
  const FieldRange& range = change.limit->range;
  DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t before, counts_.Fields(row.id, range));
  std::uint64_t after = before;
  for (const FieldRange& erased : Disjoint(change.erases)) {
    DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t some,
                              counts_.CountFields(row.id, Both(erased, range)));
    after -= some;
  }
  bool adds = change.makes.has_value();  // It adds what was staged.
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const FieldWrite& write = change.writes[i];
    if (!IsIn(write.name, range)) continue;
    const bool stays = fields[i].exists && !IsInAny(write.name, change.erases);
    if (write.value.has_value()) {
      adds = adds || !fields[i].exists;
      if (!stays) ++after;
    } else if (stays) {
      --after;
    }
  }
  if (!adds || after <= change.limit->most) return std::optional<StoreResult>();
  return std::optional<StoreResult>(Refused(StoreOutcome::kFull, before));
}

absl::StatusOr<std::uint64_t> SqliteChanges::Erase(const SqliteRow& row, const FieldRange& range,
                                                   std::uint64_t most) {
  if (range.last <= range.first || most == 0) return std::uint64_t{0};
  SqliteStatement& erase = statements_.erase_range;
  erase.Bind(1, row.id).Bind(2, range.first).Bind(3, range.last);
  erase.Bind(4, static_cast<std::int64_t>(most));
  DROPOUTD_RETURN_IF_ERROR(erase.Run());
  counts_.ForgetFields(row.id);
  return database_.changes();
}

absl::Status SqliteChanges::WriteParts(const SqliteRow& row, const StoreChange& change) {
  for (const StorePart& part : change.parts) {
    if (!part.value.has_value()) {
      DROPOUTD_RETURN_IF_ERROR(statements_.erase_part.Bind(1, row.id).Bind(2, part.name).Run());
      continue;
    }
    const std::string framed = Frame(part.name, *part.value);
    DROPOUTD_RETURN_IF_ERROR(
        statements_.put_part.Bind(1, row.id).Bind(2, part.name).Bind(3, framed).Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteChanges::WriteFields(const SqliteRow& row, const StoreChange& change,
                                        const std::vector<Field>& fields) {
  const std::int64_t until = clock_.After(kTombstoneLife);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const FieldWrite& write = change.writes[i];
    const bool is_removal = !write.value.has_value();
    const std::string framed = is_removal ? "" : Frame(write.name, *write.value);
    SqliteStatement& put = fields[i].has_row ? statements_.update_field : statements_.put_field;
    put.Bind(1, change.token).Bind(3, framed).Bind(4, row.id).Bind(5, write.name);
    if (is_removal) {
      put.Bind(2, until);
    } else {
      put.Bind(2, std::nullopt);
    }
    DROPOUTD_RETURN_IF_ERROR(put.Run());
    if (is_removal && fields[i].exists) counts_.DropField(row.id, write.name);
    if (!is_removal && !fields[i].exists) counts_.AddField(row.id, write.name);
  }
  return absl::OkStatus();
}

absl::Status SqliteChanges::Prolong(const SqliteRow& row,
                                    std::optional<std::chrono::nanoseconds> ttl) {
  if (!ttl.has_value()) return absl::OkStatus();
  // Another renewal, to a later end, may have come before.
  const std::int64_t expire = clock_.After(*ttl);
  if (expire <= row.expire) return absl::OkStatus();
  return statements_.update_expire.Bind(1, expire).Bind(2, row.id).Run();
}

// --- The others -----------------------------------------------------------------------------

absl::StatusOr<StoreResult> SqliteChanges::Stage(const std::string& key, Token incarnation,
                                                 const std::vector<StoreField>& fields) {
  const std::string staged = key + incarnation.Bytes();
  const std::int64_t expire = clock_.After(kStagedLife);
  DROPOUTD_ASSIGN_OR_RETURN(const Staged found, FindStaged(staged));
  const std::string count = absl::StrCat(found.count + fields.size());
  std::int64_t id = found.id;
  if (id != 0) {
    SqliteStatement& update = statements_.update_staged;
    DROPOUTD_RETURN_IF_ERROR(update.Bind(1, expire).Bind(2, count).Bind(3, id).Run());
  } else {
    SqliteStatement& insert = statements_.insert_staged;
    insert.Bind(1, staged).Bind(2, incarnation).Bind(3, expire).Bind(4, count);
    DROPOUTD_RETURN_IF_ERROR(insert.Run());
    id = database_.last_row();
  }
  counts_.ForgetFields(id);
  for (const StoreField& field : fields) {
    const std::string framed = Frame(field.name, field.value.value_or(""));
    SqliteStatement& put = statements_.put_field;
    put.Bind(1, std::string_view()).Bind(2, std::nullopt).Bind(3, framed);
    DROPOUTD_RETURN_IF_ERROR(put.Bind(4, id).Bind(5, field.name).Run());
  }
  return Done(Token());
}

absl::StatusOr<StoreResult> SqliteChanges::EraseRange(const std::string& key, Token incarnation,
                                                      std::optional<Token> expected,
                                                      const FieldRange& range, std::size_t keep,
                                                      std::size_t most) {
  DROPOUTD_ASSIGN_OR_RETURN(const SqliteRow row, FindIncarnation(key, incarnation));
  if (row.id == 0 || expected.value_or(row.token) != row.token) return Done(row.token);
  std::uint64_t erasable = std::min<std::uint64_t>(most, std::numeric_limits<std::int64_t>::max());
  if (keep != 0) {
    DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t count, counts_.CountFields(row.id, range));
    erasable = std::min<std::uint64_t>(erasable, count - std::min<std::uint64_t>(count, keep));
  }
  DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t gone, Erase(row, range, erasable));
  return Done(row.token, gone);
}

absl::StatusOr<StoreResult> SqliteChanges::Remove(const std::string& key, Token incarnation,
                                                  Token token) {
  DROPOUTD_ASSIGN_OR_RETURN(const SqliteRow row, Find(key));
  // One that is set aside cannot be asked for its incarnation: none stands for it.
  const bool is_meant = row.incarnation == incarnation || (row.is_set_aside && !incarnation);
  if (!row.is_there() || !is_meant) {
    DROPOUTD_ASSIGN_OR_RETURN(const Token removal, RemovalOf(key));
    return removal == token ? Done(token) : Refused(StoreOutcome::kAbsent);
  }
  DROPOUTD_RETURN_IF_ERROR(RemoveRow(row.id, std::string_view(key), MostFields()).status());
  SqliteStatement& put = statements_.put_removal;
  DROPOUTD_RETURN_IF_ERROR(
      put.Bind(1, key).Bind(2, token).Bind(3, clock_.After(kTombstoneLife)).Run());
  return Done(token);
}

absl::StatusOr<std::uint64_t> SqliteChanges::RemoveRow(std::int64_t id,
                                                       std::optional<std::string_view> key,
                                                       std::uint64_t most) {
  if (key.has_value()) {
    --count_change_;
    counts_.DropSession(*key);
  }
  counts_.ForgetFields(id);
  DROPOUTD_RETURN_IF_ERROR(
      statements_.erase_some_fields.Bind(1, id).Bind(2, static_cast<std::int64_t>(most)).Run());
  const std::uint64_t gone = database_.changes();
  if (gone == most) {
    DROPOUTD_RETURN_IF_ERROR(statements_.forget.Bind(1, id).Run());
    return gone;
  }
  DROPOUTD_RETURN_IF_ERROR(statements_.erase_parts.Bind(1, id).Run());
  DROPOUTD_RETURN_IF_ERROR(statements_.remove.Bind(1, id).Run());
  return gone;
}

absl::StatusOr<StoreResult> SqliteChanges::Renew(const std::string& key,
                                                 std::chrono::nanoseconds ttl) {
  DROPOUTD_ASSIGN_OR_RETURN(const SqliteRow row, Find(key));
  if (!row.is_there()) return SqliteNotThere();
  if (row.is_set_aside) return SqliteDamage();
  DROPOUTD_RETURN_IF_ERROR(Prolong(row, ttl));
  return Done(row.token);
}

absl::StatusOr<StoreResult> SqliteChanges::SetAside(const std::string& key, Token incarnation,
                                                    Token token) {
  SqliteStatement& set_aside = statements_.set_aside;
  set_aside.Bind(1, Token::Random()).Bind(2, key).Bind(3, incarnation).Bind(4, token);
  DROPOUTD_RETURN_IF_ERROR(set_aside.Run());
  return Done(Token(), database_.changes());
}

absl::StatusOr<StoreResult> SqliteChanges::RemoveSomeExpired() {
  struct Expired {
    std::int64_t id;
    std::optional<std::string> key;
  };
  std::vector<Expired> all;
  SqliteStatement& expired = statements_.expired;
  const std::int64_t now = clock_.Read();
  expired.Bind(1, now);
  while (expired.Step()) {
    all.push_back({expired.Integer(0), std::nullopt});
    if (!expired.IsNull(1)) all.back().key.emplace(expired.Blob(1));
  }
  DROPOUTD_RETURN_IF_ERROR(expired.Reset());
  std::uint64_t left = MostFields();
  std::uint64_t removed = 0;
  for (const Expired& each : all) {
    if (left == 0) break;
    DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t gone, RemoveRow(each.id, each.key, left));
    left -= gone;
    ++removed;
  }
  if (removed != 0) return Done(Token(), removed);
  DROPOUTD_RETURN_IF_ERROR(SaveClock());
  DROPOUTD_RETURN_IF_ERROR(statements_.erase_old_tombstones.Bind(1, now).Run());
  removed = database_.changes();
  DROPOUTD_RETURN_IF_ERROR(statements_.erase_old_removals.Bind(1, now).Run());
  return Done(Token(), removed);
}

}  // namespace dropoutd
