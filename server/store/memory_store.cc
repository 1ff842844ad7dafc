#include "server/store/memory_store.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace dropoutd {
namespace {

absl::Status NotThere() { return absl::NotFoundError("the store has no such session"); }

}  // namespace

MemoryStore::Session* MemoryStore::Find(std::string_view key) {
  const auto found = sessions_.find(key);
  if (found == sessions_.end() || found->second.expire_time <= now_()) return nullptr;
  return &found->second;
}

absl::StatusOr<StoreVersion> MemoryStore::Apply(std::string_view key, StoreChange& change) {
  Session* session = Find(key);
  const StoreVersion version = session == nullptr ? 0 : session->version;
  if (version == 0 && change.expected_version.value_or(1) != 0) return NotThere();
  if (change.expected_version.value_or(version) != version) {
    return absl::AbortedError("the session has another version");
  }
  for (const StoreField& condition : change.conditions) {
    std::optional<std::string> present;
    if (session != nullptr) {
      const auto found = session->fields.find(condition.name);
      if (found != session->fields.end()) present = found->second;
    }
    if (present != condition.value) return absl::AbortedError("a field has another value");
  }
  if (session == nullptr) {
    session = &sessions_[std::string(key)];
    *session = Session();  // An expired one may have been here.
  }
  if (change.document.has_value()) {
    session->document = *std::move(change.document);
    ++session->version;
  }
  if (change.expire_time.has_value()) session->expire_time = *change.expire_time;
  for (StoreField& write : change.writes) {
    if (write.value.has_value()) {
      session->fields[std::move(write.name)] = *std::move(write.value);
    } else {
      session->fields.erase(write.name);
    }
  }
  return session->version;
}

void MemoryStore::StartCommit(std::string_view key, StoreChange change, Committed done) {
  absl::StatusOr<StoreVersion> committed = StoreVersion{0};
  {
    const std::lock_guard lock(mutex_);
    committed = Apply(key, change);
  }
  done(std::move(committed));
}

absl::StatusOr<StoreAnswer> MemoryStore::Query(std::string_view key, const StoreQuery& query) {
  const std::lock_guard lock(mutex_);
  Session* const session = Find(key);
  if (session == nullptr) return NotThere();
  session->expire_time = std::max(session->expire_time, query.expire_time.value_or(StoreTime()));
  StoreAnswer answer;
  answer.version = session->version;
  answer.expire_time = session->expire_time;
  if (session->version != query.known_version) answer.document = session->document;
  for (const std::string& name : query.fields) {
    const auto found = session->fields.find(name);
    answer.fields.push_back({name, std::nullopt});
    if (found != session->fields.end()) answer.fields.back().value = found->second;
  }
  return answer;
}

absl::StatusOr<std::vector<StoreField>> MemoryStore::Scan(std::string_view key,
                                                          const FieldRange& range,
                                                          std::size_t limit) {
  std::vector<StoreField> found;
  const std::lock_guard lock(mutex_);
  const Session* const session = Find(key);
  if (session == nullptr) return found;
  for (auto at = session->fields.lower_bound(range.first);
       at != session->fields.end() && at->first < range.last && found.size() < limit; ++at) {
    found.push_back({at->first, at->second});
  }
  return found;
}

absl::StatusOr<std::uint64_t> MemoryStore::EraseRange(std::string_view key, const FieldRange& range,
                                                      std::size_t keep) {
  const std::lock_guard lock(mutex_);
  Session* const session = Find(key);
  if (session == nullptr || range.last <= range.first) return std::uint64_t{0};
  const auto first = session->fields.lower_bound(range.first);
  const auto last = session->fields.lower_bound(range.last);
  const auto count = static_cast<std::size_t>(std::distance(first, last));
  const std::size_t gone = count - std::min(count, keep);
  session->fields.erase(first, std::next(first, static_cast<std::ptrdiff_t>(gone)));
  return std::uint64_t{gone};
}

absl::Status MemoryStore::Remove(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const bool there = Find(key) != nullptr;
  if (const auto found = sessions_.find(key); found != sessions_.end()) sessions_.erase(found);
  return there ? absl::OkStatus() : NotThere();
}

absl::StatusOr<std::vector<std::string>> MemoryStore::List(std::string_view prefix,
                                                           std::string_view after,
                                                           std::size_t limit) {
  std::vector<std::string> keys;
  const std::lock_guard lock(mutex_);
  const StoreTime now = now_();
  auto at = after < prefix ? sessions_.lower_bound(prefix) : sessions_.upper_bound(after);
  for (; at != sessions_.end() && at->first.starts_with(prefix) && keys.size() < limit; ++at) {
    if (at->second.expire_time > now) keys.push_back(at->first);
  }
  return keys;
}

absl::StatusOr<std::uint64_t> MemoryStore::Count() {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

absl::Status MemoryStore::RemoveExpired() {
  const std::lock_guard lock(mutex_);
  const StoreTime now = now_();
  std::erase_if(sessions_, [now](const auto& each) { return each.second.expire_time <= now; });
  return absl::OkStatus();
}

}  // namespace dropoutd
