// The sessions that are in use here, and when they expire.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_REGISTRY_H_
#define DROPOUTD_SERVER_SESSION_SESSION_REGISTRY_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/session/clock.h"
#include "server/session/session.h"

namespace dropoutd {

// Sessions are known by their keys (session_key.h). Thread-safe.
class SessionRegistry {
 public:
  using SharedSession = std::shared_ptr<Session>;

  explicit SessionRegistry(const Clock& clock) : clock_(clock) {}

  // The session, or null. Renews it, unless its time is over: then `has_expired`.
  SharedSession Renew(std::string_view key, bool& has_expired) const;

  // The session with this one's key that has not expired, or this one, which is added.
  SharedSession Add(SharedSession session);

  // Adds a session in place of any that had its key.
  void Replace(SharedSession session);

  // Removes this very session, if it is still there, and ends it; whether it was.
  bool Forget(const SharedSession& session);

  std::size_t size() const;

  // Up to `count` sessions of the tenant of `after` with keys after it, sorted by key; does
  // not renew them.
  std::vector<SharedSession> List(std::string_view after, std::size_t count) const;

  // Those that have not expired, sorted by key; does not renew them.
  std::vector<SharedSession> All() const;

  // What has expired, each once: whoever calls removes it, with Forget.
  std::vector<SharedSession> Expired();

  // Removes sessions that were not renewed for so long, that nobody holds and that have no
  // regions of shared memory, and returns how many.
  std::size_t ForgetIdle(Nanoseconds idle);

 private:
  using Sessions = std::map<std::string, SharedSession, std::less<>>;

  // A session may expire no earlier than this. Renewals do not touch the queue: an entry
  // that comes up too early goes back in. Removals leave theirs until ForgetRemoved.
  struct Due {
    SteadyTime time;
    std::weak_ptr<Session> session;

    bool operator>(const Due& other) const { return time > other.time; }
  };

  // The lock is held, by a writer. Returns the session that had the key.
  SharedSession Insert(SharedSession session);

  // Rebuilds the queue from the sessions there are. The lock is held, by a writer.
  void ForgetRemoved();

  bool IsExpired(const Session& session) const { return session.expire_time() <= clock_.Now(); }

  const Clock& clock_;
  mutable std::shared_mutex mutex_;
  Sessions sessions_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> queue_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_REGISTRY_H_
