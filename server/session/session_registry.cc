#include "server/session/session_registry.h"

#include <mutex>
#include <utility>

#include "server/session/session_key.h"

namespace dropoutd {
namespace {

// Entries of removed sessions that the queue may hold, besides as many as there are sessions.
constexpr std::size_t kQueueSlack = 1000;

}  // namespace

SessionRegistry::SharedSession SessionRegistry::Insert(SharedSession session) {
  if (queue_.size() > 2 * sessions_.size() + kQueueSlack) ForgetRemoved();
  queue_.push({session->expire_time(), session});
  SharedSession& place = sessions_[session->key()];
  return std::exchange(place, std::move(session));
}

SessionRegistry::SharedSession SessionRegistry::Renew(std::string_view key,
                                                      bool& has_expired) const {
  // Renewed under the lock, so that ForgetIdle never takes a session that was found.
  const std::shared_lock lock(mutex_);
  has_expired = false;
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) return nullptr;
  has_expired = IsExpired(*found->second);
  if (!has_expired) found->second->Renew(clock_.Now());
  return found->second;
}

SessionRegistry::SharedSession SessionRegistry::Add(SharedSession session) {
  SharedSession expired;  // Goes after the lock: a large session takes time to go.
  {
    const std::unique_lock lock(mutex_);
    const auto found = sessions_.find(session->key());
    if (found != sessions_.end() && !IsExpired(*found->second)) {
      found->second->Renew(clock_.Now());
      return found->second;
    }
    expired = Insert(session);
  }
  if (expired != nullptr) expired->regions().End();
  return session;
}

void SessionRegistry::Replace(SharedSession session) {
  SharedSession removed;
  {
    const std::unique_lock lock(mutex_);
    removed = Insert(std::move(session));
  }
  if (removed != nullptr) removed->regions().End();
}

bool SessionRegistry::Forget(const SharedSession& session) {
  {
    const std::unique_lock lock(mutex_);
    const auto found = sessions_.find(session->key());
    if (found == sessions_.end() || found->second != session) return false;
    sessions_.erase(found);
  }
  session->regions().End();
  return true;
}

std::size_t SessionRegistry::size() const {
  const std::shared_lock lock(mutex_);
  return sessions_.size();
}

std::vector<SessionRegistry::SharedSession> SessionRegistry::List(std::string_view after,
                                                                  std::size_t count) const {
  std::vector<SharedSession> page;
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

std::vector<SessionRegistry::SharedSession> SessionRegistry::All() const {
  std::vector<SharedSession> all;
  const std::shared_lock lock(mutex_);
  all.reserve(sessions_.size());
  for (const auto& [key, session] : sessions_) {
    if (!IsExpired(*session)) all.push_back(session);
  }
  return all;
}

std::vector<SessionRegistry::SharedSession> SessionRegistry::Expired() {
  std::vector<SharedSession> expired;
  const std::unique_lock lock(mutex_);
  const SteadyTime now = clock_.Now();
  while (!queue_.empty() && queue_.top().time <= now) {
    SharedSession session = queue_.top().session.lock();
    queue_.pop();
    if (session == nullptr) continue;
    const auto found = sessions_.find(session->key());
    if (found == sessions_.end() || found->second != session) continue;
    if (session->expire_time() > now) {
      queue_.push({session->expire_time(), session});
    } else {
      expired.push_back(std::move(session));
    }
  }
  return expired;
}

std::size_t SessionRegistry::ForgetIdle(Nanoseconds idle) {
  std::vector<SharedSession> taken;  // Go after the lock.
  const std::unique_lock lock(mutex_);
  const SteadyTime now = clock_.Now();
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const SharedSession& session = at->second;
    const bool is_idle = session->expire_time() - session->ttl() + idle <= now;
    // Who holds one got it under this lock.
    if (is_idle && session.use_count() == 1 && session->regions().empty()) {
      taken.push_back(std::move(at->second));
      at = sessions_.erase(at);
    } else {
      ++at;
    }
  }
  return taken.size();
}

void SessionRegistry::ForgetRemoved() {
  std::vector<Due> due;
  due.reserve(sessions_.size());
  for (const auto& [key, session] : sessions_) due.push_back({session->expire_time(), session});
  queue_ = decltype(queue_)(std::greater<>(), std::move(due));
}

}  // namespace dropoutd
