#include "server/store/sqlite_counts.h"

#include <algorithm>

#include "server/base/status_macros.h"
#include "server/store/store_rules.h"

namespace dropoutd {

std::string AfterPrefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xFF) end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

absl::StatusOr<std::int64_t> SqliteCounts::CountKeys(std::string_view prefix) {
  const std::string end = AfterPrefix(prefix);
  SqliteStatement& count = end.empty() ? statements_.count_keys : statements_.count_keys_to;
  count.Bind(1, prefix);
  if (!end.empty()) count.Bind(2, std::string_view(end));
  const std::int64_t keys = count.Step() ? count.Integer(0) : 0;
  DROPOUTD_RETURN_IF_ERROR(count.Reset());
  return keys;
}

absl::StatusOr<std::uint64_t> SqliteCounts::Sessions(std::string_view prefix, std::int64_t now) {
  auto kept = sessions_.find(prefix);
  if (kept == sessions_.end()) {
    DROPOUTD_ASSIGN_OR_RETURN(const std::int64_t count, CountKeys(prefix));
    if (sessions_.size() >= kMostKept) sessions_.clear();
    kept = sessions_.emplace(prefix, count).first;
  }
  // Those that have expired and are still there are few, and go with the next clean-up.
  std::int64_t count = kept->second;
  SqliteStatement& expired = statements_.expired_keys;
  expired.Bind(1, now);
  while (expired.Step()) count -= expired.Blob(0).starts_with(prefix) ? 1 : 0;
  DROPOUTD_RETURN_IF_ERROR(expired.Reset());
  return static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
}

void SqliteCounts::CountSession(std::string_view key, std::int64_t by) {
  for (auto& [prefix, count] : sessions_) {
    if (key.starts_with(prefix)) count += by;
  }
}

absl::StatusOr<std::uint64_t> SqliteCounts::CountFields(std::int64_t session,
                                                        const FieldRange& range) {
  if (range.last <= range.first) return std::uint64_t{0};
  SqliteStatement& statement = statements_.count_range;
  statement.Bind(1, session).Bind(2, range.first).Bind(3, range.last);
  const std::int64_t count = statement.Step() ? statement.Integer(0) : 0;
  DROPOUTD_RETURN_IF_ERROR(statement.Reset());
  return static_cast<std::uint64_t>(count);
}

absl::StatusOr<std::uint64_t> SqliteCounts::Fields(std::int64_t session, const FieldRange& range) {
  const auto key = std::make_tuple(session, range.first, range.last);
  if (const auto kept = fields_.find(key); kept != fields_.end()) {
    return static_cast<std::uint64_t>(kept->second);
  }
  DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t count, CountFields(session, range));
  if (fields_.size() >= kMostKept) fields_.clear();
  fields_.emplace(key, static_cast<std::int64_t>(count));
  return count;
}

void SqliteCounts::CountField(std::int64_t session, std::string_view name, std::int64_t by) {
  for (auto at = fields_.lower_bound({session, "", ""});
       at != fields_.end() && std::get<0>(at->first) == session; ++at) {
    const auto& [of, first, last] = at->first;
    if (name >= first && name < last) at->second += by;
  }
}

void SqliteCounts::ForgetFields(std::int64_t session) {
  fields_.erase(fields_.lower_bound({session, "", ""}), fields_.lower_bound({session + 1, "", ""}));
}

void SqliteCounts::Forget() {
  sessions_.clear();
  fields_.clear();
}

}  // namespace dropoutd
