#include "server/session/session_registry.h"

#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

// Entries of removed sessions that the queue may hold, besides as many as there are sessions.
constexpr std::size_t kQueueSlack = 1000;

}  // namespace

absl::StatusOr<std::shared_ptr<Session>> SessionRegistry::Add(std::shared_ptr<Session> session,
                                                              IsSame is_same) {
  // Outlives the lock: a large session takes time to go.
  std::vector<std::shared_ptr<Session>> expired;
  const std::unique_lock lock(mutex_);
  const auto found = sessions_.find(session->session_id());
  if (found != sessions_.end()) {
    if (!IsExpired(*found->second)) {
      if (!is_same(*found->second)) {
        return MakeError(Reason::kSessionExists,
                         absl::StrCat("session_id: ", Quote(SessionIdOf(session->session_id())),
                                      " is taken by another session"));
      }
      found->second->Renew(clock_.Now());
      return found->second;
    }
    expired.push_back(std::move(found->second));
    sessions_.erase(found);
  }
  if (sessions_.size() >= max_sessions_) TakeExpired(expired);
  if (sessions_.size() >= max_sessions_) {
    return MakeError(Reason::kQuotaSessions, absl::StrCat("the server holds ", max_sessions_,
                                                          " sessions, the most allowed"));
  }
  Insert(session);
  return session;
}

void SessionRegistry::Insert(std::shared_ptr<Session> session) {
  if (queue_.size() > 2 * sessions_.size() + kQueueSlack) ForgetRemoved();
  queue_.push({session->expire_time(), session});
  std::string key = session->session_id();
  sessions_.insert_or_assign(std::move(key), std::move(session));
}

std::shared_ptr<Session> SessionRegistry::Renew(std::string_view session_id,
                                                bool& has_expired) const {
  const std::shared_lock lock(mutex_);
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end()) return nullptr;
  has_expired = IsExpired(*found->second);
  if (!has_expired) found->second->Renew(clock_.Now());
  return found->second;
}

std::shared_ptr<Session> SessionRegistry::Adopt(std::shared_ptr<Session> session) {
  const std::unique_lock lock(mutex_);
  const auto found = sessions_.find(session->session_id());
  if (found != sessions_.end() && !IsExpired(*found->second)) return found->second;
  Insert(session);
  return session;
}

void SessionRegistry::Replace(std::shared_ptr<Session> session) {
  std::shared_ptr<Session> removed;  // Goes after the lock.
  const std::unique_lock lock(mutex_);
  const auto found = sessions_.find(session->session_id());
  if (found != sessions_.end()) removed = found->second;
  Insert(std::move(session));
}

void SessionRegistry::Forget(const std::shared_ptr<Session>& session) {
  {
    const std::unique_lock lock(mutex_);
    const auto found = sessions_.find(session->session_id());
    if (found == sessions_.end() || found->second != session) return;
    sessions_.erase(found);
  }
  session->End();
}

std::size_t SessionRegistry::size() const {
  const std::shared_lock lock(mutex_);
  return sessions_.size();
}

absl::StatusOr<std::shared_ptr<Session>> SessionRegistry::Find(std::string_view session_id) const {
  // Renewed under the lock, so that TakeExpired never takes a session that was found.
  const std::shared_lock lock(mutex_);
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end() || IsExpired(*found->second)) return SessionNotFound(session_id);
  found->second->Renew(clock_.Now());
  return found->second;
}

absl::Status SessionRegistry::Remove(std::string_view session_id) {
  std::shared_ptr<Session> removed;
  {
    const std::unique_lock lock(mutex_);
    const auto found = sessions_.find(session_id);
    if (found == sessions_.end()) return SessionNotFound(session_id);
    removed = std::move(found->second);
    sessions_.erase(found);
  }
  const bool expired = IsExpired(*removed);
  removed->End();
  return expired ? SessionNotFound(session_id) : absl::OkStatus();
}

std::vector<std::shared_ptr<Session>> SessionRegistry::List(std::string_view after,
                                                            std::size_t count) const {
  std::vector<std::shared_ptr<Session>> page;
  const std::string_view tenant = TenantOf(after);
  const std::shared_lock lock(mutex_);
  for (auto at = sessions_.upper_bound(after); at != sessions_.end() && page.size() < count; ++at) {
    if (TenantOf(at->first) == tenant) {
      if (!IsExpired(*at->second)) page.push_back(at->second);
    } else if (!tenant.empty()) {
      break;  // Past the tenant's last one.
    }
  }
  return page;
}

std::vector<std::shared_ptr<Session>> SessionRegistry::All() const {
  std::vector<std::shared_ptr<Session>> all;
  const std::shared_lock lock(mutex_);
  all.reserve(sessions_.size());
  for (const auto& [key, session] : sessions_) {
    if (!IsExpired(*session)) all.push_back(session);
  }
  return all;
}

std::vector<std::shared_ptr<Session>> SessionRegistry::TakeExpired() {
  std::vector<std::shared_ptr<Session>> expired;
  const std::unique_lock lock(mutex_);
  TakeExpired(expired);
  return expired;
}

std::vector<std::shared_ptr<Session>> SessionRegistry::TakeIdle(Nanoseconds idle) {
  std::vector<std::shared_ptr<Session>> taken;
  const std::unique_lock lock(mutex_);
  const SteadyTime now = clock_.Now();
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const std::shared_ptr<Session>& session = at->second;
    const bool is_idle = session->expire_time() - session->ttl() + idle <= now;
    // Who holds one got it under this lock.
    if (is_idle && session.use_count() == 1 && !session->has_regions()) {
      taken.push_back(std::move(at->second));
      at = sessions_.erase(at);
    } else {
      ++at;
    }
  }
  return taken;
}

std::vector<std::shared_ptr<Session>> SessionRegistry::Expired() {
  const std::unique_lock lock(mutex_);
  return PopExpired();
}

void SessionRegistry::TakeExpired(std::vector<std::shared_ptr<Session>>& expired) {
  for (std::shared_ptr<Session>& session : PopExpired()) {
    sessions_.erase(session->session_id());
    expired.push_back(std::move(session));
  }
}

std::vector<std::shared_ptr<Session>> SessionRegistry::PopExpired() {
  std::vector<std::shared_ptr<Session>> expired;
  const SteadyTime now = clock_.Now();
  while (!queue_.empty() && queue_.top().time <= now) {
    const std::shared_ptr<Session> session = queue_.top().session.lock();
    queue_.pop();
    if (session == nullptr) continue;
    const auto found = sessions_.find(session->session_id());
    if (found == sessions_.end() || found->second != session) continue;
    if (session->expire_time() > now) {
      queue_.push({session->expire_time(), session});
    } else {
      expired.push_back(session);
    }
  }
  return expired;
}

void SessionRegistry::ForgetRemoved() {
  std::vector<Due> due;
  due.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) due.push_back({session->expire_time(), session});
  queue_ = decltype(queue_)(std::greater<>(), std::move(due));
}

}  // namespace dropoutd
