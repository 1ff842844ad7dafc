#include "server/store/memory_store.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "server/store/store_rules.h"

namespace dropoutd {
namespace {

absl::Status NotInMemory() { return absl::NotFoundError("the store has no such session"); }

// All fields in the order of their names.
class MemorySnapshot final : public StoreSnapshot {
 public:
  MemorySnapshot(StoreAnswer session, std::vector<StoreField> fields)
      : session_(std::move(session)), fields_(std::move(fields)) {}

  const StoreAnswer& session() const override { return session_; }
  absl::StatusOr<std::vector<StoreField>> Next(std::size_t limit) override {
    const std::size_t end =
        next_ + std::min(std::max<std::size_t>(limit, 1), fields_.size() - next_);
    std::vector<StoreField> some(std::make_move_iterator(fields_.begin() + Offset(next_)),
                                 std::make_move_iterator(fields_.begin() + Offset(end)));
    next_ = end;
    return some;
  }

 private:
  static std::ptrdiff_t Offset(std::size_t index) { return static_cast<std::ptrdiff_t>(index); }

  const StoreAnswer session_;
  std::vector<StoreField> fields_;
  std::size_t next_ = 0;
};

}  // namespace

MemoryStore::Session* MemoryStore::Find(std::string_view key) {
  const auto found = sessions_.find(key);
  if (found == sessions_.end() || found->second.end <= now_()) return nullptr;
  return &found->second;
}

MemoryStore::Session* MemoryStore::FindIncarnation(std::string_view key, Token incarnation) {
  Session* const session = Find(key);
  return session != nullptr && session->incarnation == incarnation ? session : nullptr;
}

Token MemoryStore::TokenOf(const Session& session, const std::string& field) const {
  const auto found = session.fields.find(field);
  if (found != session.fields.end()) return found->second.token;
  const auto removed = session.removed.find(field);
  if (removed == session.removed.end() || removed->second.end <= now_()) return Token();
  return removed->second.token;
}

Token MemoryStore::RemovalOf(std::string_view key) const {
  const auto removed = removed_.find(key);
  if (removed == removed_.end() || removed->second.end <= now_()) return Token();
  return removed->second.token;
}

std::uint64_t MemoryStore::CountOf(std::string_view prefix) const {
  const Time now = now_();
  std::uint64_t count = 0;
  for (auto at = sessions_.lower_bound(prefix);
       at != sessions_.end() && at->first.starts_with(prefix); ++at) {
    if (at->second.end > now) ++count;
  }
  return count;
}

// --- Changes --------------------------------------------------------------------------------

StoreResult MemoryStore::Apply(std::string_view key, StoreChange& change) {
  Session* const session = FindIncarnation(key, change.incarnation);
  if (session != nullptr) {
    // A repeat finds itself.
    const ChangeLog::Entry* const made = session->log.Find(change.token);
    const bool is_written = !Renames(change) && !change.writes.empty() &&
                            TokenOf(*session, change.writes.front().name) == change.token;
    if (made != nullptr || is_written) {
      Renew(change.ttl, *session);
      return Done(session->token, made == nullptr ? 0 : made->erased);
    }
  }
  if (change.makes.has_value()) return Make(key, change);
  if (session == nullptr) return Refused(StoreOutcome::kAbsent);
  if (change.expected.value_or(session->token) != session->token) {
    return Conflict(session->token, /*exists=*/true);
  }
  if (const auto refused = CheckWrites(*session, change)) return *refused;
  if (const auto refused = CheckCounts(*session, change)) return *refused;
  return Write(change, *session);
}

StoreResult MemoryStore::Make(std::string_view key, StoreChange& change) {
  if (const auto refused = CheckMaking(key, change)) return *refused;
  Session session;
  session.incarnation = change.incarnation;
  if (const auto refused = CheckWrites(session, change)) return *refused;
  const auto staged = staged_.find({std::string(key), change.incarnation});
  const bool is_staged = staged != staged_.end() && staged->second.end > now_();
  if ((is_staged ? staged->second.fields.size() : 0) < change.staged) {
    return Refused(StoreOutcome::kStagedLost);
  }
  if (is_staged) {
    for (const auto& [name, value] : staged->second.fields) {
      session.fields[name] = {value, change.token};
    }
  }
  if (const auto refused = CheckCounts(session, change)) return *refused;
  const StoreResult done = Write(change, session);
  sessions_[std::string(key)] = std::move(session);
  if (staged != staged_.end()) staged_.erase(staged);
  return done;
}

std::optional<StoreResult> MemoryStore::CheckMaking(std::string_view key,
                                                    const StoreChange& change) {
  if (const Session* const there = Find(key)) {
    return Conflict(there->token, /*exists=*/true);
  }
  const Token removal = RemovalOf(key);
  if (change.expected.value_or(removal) != removal) {
    return Conflict(removal, /*exists=*/false);
  }
  const std::uint64_t of_tenant = CountOf(change.makes->prefix);
  if (of_tenant >= change.makes->most_of_tenant) {
    return Refused(StoreOutcome::kTenantFull, of_tenant);
  }
  const std::uint64_t all = CountOf("");
  if (all >= change.makes->most) {
    return Refused(StoreOutcome::kFullOfSessions, all);
  }
  return std::nullopt;
}

std::optional<StoreResult> MemoryStore::CheckWrites(const Session& session,
                                                    const StoreChange& change) const {
  StoreResult occupied = Refused(StoreOutcome::kOccupied);
  bool is_free = true;
  for (const FieldWrite& write : change.writes) {
    occupied.found.push_back(TokenOf(session, write.name));
    is_free = is_free && occupied.found.back() == write.replaces;
  }
  if (is_free) return std::nullopt;
  return occupied;
}

std::optional<StoreResult> MemoryStore::CheckCounts(const Session& session,
                                                    const StoreChange& change) const {
  const std::uint64_t erased = static_cast<std::uint64_t>(
      std::count_if(session.fields.begin(), session.fields.end(),
                    [&](const auto& each) { return IsInAny(each.first, change.erases); }));
  if (erased > change.most_erased) {
    return Refused(StoreOutcome::kTooMany, erased);
  }
  if (!change.limit.has_value()) return std::nullopt;
  std::set<std::string_view> before;
  for (const auto& [name, field] : session.fields) {
    if (IsIn(name, change.limit->range)) before.insert(name);
  }
  std::set<std::string_view> after;
  for (const std::string_view name : before) {
    if (!IsInAny(name, change.erases)) after.insert(name);
  }
  bool adds = change.makes.has_value();  // It adds what was staged.
  for (const FieldWrite& write : change.writes) {
    if (!IsIn(write.name, change.limit->range)) continue;
    if (!write.value.has_value()) {
      after.erase(write.name);
    } else {
      after.insert(write.name);
      adds = adds || !before.contains(write.name);
    }
  }
  if (!adds || after.size() <= change.limit->most) return std::nullopt;
  return Refused(StoreOutcome::kFull, before.size());
}

// Erases first: what the change writes stays.
StoreResult MemoryStore::Write(StoreChange& change, Session& session) const {
  const std::uint64_t erased = std::erase_if(
      session.fields, [&](const auto& each) { return IsInAny(each.first, change.erases); });
  for (const StorePart& part : change.parts) {
    if (part.value.has_value()) {
      session.parts[part.name] = *part.value;
    } else {
      session.parts.erase(part.name);
    }
  }
  for (FieldWrite& write : change.writes) {
    if (write.value.has_value()) {
      session.fields[write.name] = {*std::move(write.value), change.token};
      session.removed.erase(write.name);
    } else {
      session.fields.erase(write.name);
      session.removed[write.name] = {change.token, now_() + kTombstoneLife};
    }
  }
  if (Renames(change)) {
    session.token = change.token;
    session.log.Add(change, erased);
  }
  Renew(change.ttl, session);
  return Done(session.token, erased);
}

void MemoryStore::Renew(const std::optional<std::chrono::nanoseconds>& ttl,
                        Session& session) const {
  if (ttl.has_value()) session.end = std::max(session.end, now_() + *ttl);
}

void MemoryStore::StartCommit(std::string_view key, StoreChange change, Committed done) {
  done(Commit(key, std::move(change)));
}

absl::StatusOr<StoreResult> MemoryStore::Commit(std::string_view key, StoreChange change) {
  const std::lock_guard lock(mutex_);
  return Apply(key, change);
}

absl::Status MemoryStore::Stage(std::string_view key, Token incarnation,
                                std::vector<StoreField> fields) {
  const std::lock_guard lock(mutex_);
  Staged& staged = staged_[{std::string(key), incarnation}];
  if (staged.end <= now_()) staged.fields.clear();
  staged.end = now_() + kStagedLife;
  for (StoreField& field : fields) staged.fields[field.name] = std::move(field.value).value_or("");
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> MemoryStore::EraseRange(std::string_view key, Token incarnation,
                                                      std::optional<Token> expected,
                                                      const FieldRange& range, std::size_t keep,
                                                      std::size_t most) {
  const std::lock_guard lock(mutex_);
  Session* const session = FindIncarnation(key, incarnation);
  if (session == nullptr || range.last <= range.first) return std::uint64_t{0};
  if (expected.value_or(session->token) != session->token) return std::uint64_t{0};
  const auto first = session->fields.lower_bound(range.first);
  const auto last = session->fields.lower_bound(range.last);
  const auto count = static_cast<std::size_t>(std::distance(first, last));
  const std::size_t gone = std::min(count - std::min(count, keep), most);
  session->fields.erase(first, std::next(first, static_cast<std::ptrdiff_t>(gone)));
  return std::uint64_t{gone};
}

absl::StatusOr<StoreResult> MemoryStore::Remove(std::string_view key, Token incarnation,
                                                Token token) {
  const std::lock_guard lock(mutex_);
  if (FindIncarnation(key, incarnation) == nullptr) {
    return RemovalOf(key) == token ? Done(token) : Refused(StoreOutcome::kAbsent);
  }
  sessions_.erase(sessions_.find(key));
  removed_[std::string(key)] = {token, now_() + kTombstoneLife};
  return Done(token);
}

absl::Status MemoryStore::RemoveExpired() {
  const std::lock_guard lock(mutex_);
  const auto has_ended = [now = now_()](const auto& each) { return each.second.end <= now; };
  std::erase_if(sessions_, has_ended);
  std::erase_if(removed_, has_ended);
  std::erase_if(staged_, has_ended);
  for (auto& [key, session] : sessions_) std::erase_if(session.removed, has_ended);
  return absl::OkStatus();
}

// --- Questions ------------------------------------------------------------------------------

// With all parts.
StoreAnswer MemoryStore::AnswerOf(const Session& session) const {
  StoreAnswer answer;
  answer.incarnation = session.incarnation;
  answer.token = session.token;
  answer.left = session.end - now_();
  answer.is_whole = true;
  for (const auto& [name, value] : session.parts) answer.parts.push_back({name, value});
  return answer;
}

absl::StatusOr<StoreAnswer> MemoryStore::Query(std::string_view key, const StoreQuery& query) {
  const std::lock_guard lock(mutex_);
  Session* const session = Find(key);
  if (session == nullptr) return NotInMemory();
  Renew(query.ttl, *session);
  StoreAnswer answer = AnswerOf(*session);
  if (const auto changed = session->log.NamesSince(query.known)) {
    answer.is_whole = false;
    answer.parts.clear();
    for (const std::string& name : *changed) {
      const auto part = session->parts.find(name);
      StorePart& added = answer.parts.emplace_back(StorePart{name, std::nullopt});
      if (part != session->parts.end()) added.value = part->second;
    }
  }
  for (const std::string& name : query.fields) {
    const auto found = session->fields.find(name);
    StoreField& added = answer.fields.emplace_back();
    added.name = name;
    added.token = TokenOf(*session, name);
    if (found != session->fields.end()) added.value = found->second.value;
  }
  return answer;
}

absl::StatusOr<std::unique_ptr<StoreSnapshot>> MemoryStore::Snapshot(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const Session* const session = Find(key);
  if (session == nullptr) return NotInMemory();
  std::vector<StoreField> fields;
  for (const auto& [name, field] : session->fields) {
    fields.push_back({name, field.value, field.token});
  }
  return std::make_unique<MemorySnapshot>(AnswerOf(*session), std::move(fields));
}

absl::StatusOr<std::vector<Token>> MemoryStore::Tokens(const std::vector<std::string>& keys) {
  std::vector<Token> tokens;
  const std::lock_guard lock(mutex_);
  for (const std::string& key : keys) {
    const Session* const session = Find(key);
    tokens.push_back(session == nullptr ? Token() : session->token);
  }
  return tokens;
}

absl::StatusOr<std::vector<std::string>> MemoryStore::List(std::string_view prefix,
                                                           std::string_view after,
                                                           std::size_t limit) {
  std::vector<std::string> keys;
  const std::lock_guard lock(mutex_);
  const Time now = now_();
  auto at = after < prefix ? sessions_.lower_bound(prefix) : sessions_.upper_bound(after);
  for (; at != sessions_.end() && at->first.starts_with(prefix) && keys.size() < limit; ++at) {
    if (at->second.end > now) keys.push_back(at->first);
  }
  return keys;
}

absl::StatusOr<std::uint64_t> MemoryStore::Count() {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

}  // namespace dropoutd
