// All sessions of a server, and when they expire.
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

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/session/clock.h"
#include "server/session/session.h"

namespace dropoutd {

// Sessions are known by their keys (session_key.h).
// Thread-safe. A session that has expired is never returned, whether or not it has been
// removed yet.
class SessionRegistry {
 public:
  SessionRegistry(std::size_t max_sessions, const Clock& clock)
      : max_sessions_(max_sessions), clock_(clock) {}

  // Adds `session` and returns it, or the one with its id if that `is_same`: then the call is a
  // retry. SESSION_EXISTS, QUOTA_SESSIONS.
  using IsSame = absl::FunctionRef<bool(const Session&)>;
  absl::StatusOr<std::shared_ptr<Session>> Add(std::shared_ptr<Session> session, IsSame is_same);

  // Finds a session and renews it. SESSION_NOT_FOUND.
  absl::StatusOr<std::shared_ptr<Session>> Find(std::string_view session_id) const;

  // The session, or null. `has_expired`: its time is over; otherwise it is renewed.
  std::shared_ptr<Session> Renew(std::string_view session_id, bool& has_expired) const;

  // Adds a copy of a session that a store has, unless there is one already; returns the one that
  // is there. Copies are not limited.
  std::shared_ptr<Session> Adopt(std::shared_ptr<Session> session);

  // Adds a session in place of any that had its key.
  void Replace(std::shared_ptr<Session> session);

  // Removes this very session, if it is still there, and ends it.
  void Forget(const std::shared_ptr<Session>& session);

  // SESSION_NOT_FOUND.
  absl::Status Remove(std::string_view session_id);

  std::size_t size() const;

  // Up to `count` sessions of the tenant of `after` with keys after it, sorted by key; does
  // not renew them.
  std::vector<std::shared_ptr<Session>> List(std::string_view after, std::size_t count) const;

  // Those that have not expired, sorted by key; does not renew them.
  std::vector<std::shared_ptr<Session>> All() const;

  // Removes what has expired, and returns it.
  std::vector<std::shared_ptr<Session>> TakeExpired();

  // Returns what has expired, each once: whoever calls removes it, with Forget. Until then nobody
  // finds it, and no copy of a session with its key is loaded.
  std::vector<std::shared_ptr<Session>> Expired();

  // Removes sessions that were not renewed for so long, that nobody holds and that have no
  // regions of shared memory, and returns them.
  std::vector<std::shared_ptr<Session>> TakeIdle(Nanoseconds idle);

 private:
  using Sessions = std::map<std::string, std::shared_ptr<Session>, std::less<>>;

  // A session may expire no earlier than this. Renewals do not touch the queue: an entry
  // that comes up too early goes back in. Removals leave theirs until ForgetRemoved.
  struct Due {
    SteadyTime time;
    std::weak_ptr<Session> session;

    bool operator>(const Due& other) const { return time > other.time; }
  };

  // The lock is held, by a writer.
  void Insert(std::shared_ptr<Session> session);

  // Moves what has expired to `expired`. The lock is held, by a writer.
  void TakeExpired(std::vector<std::shared_ptr<Session>>& expired);

  // Takes what has expired from the queue alone. The lock is held, by a writer.
  std::vector<std::shared_ptr<Session>> PopExpired();

  // Rebuilds the queue from the sessions there are. The lock is held, by a writer.
  void ForgetRemoved();

  bool IsExpired(const Session& session) const { return session.expire_time() <= clock_.Now(); }

  const std::size_t max_sessions_;
  const Clock& clock_;
  mutable std::shared_mutex mutex_;
  Sessions sessions_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> queue_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_REGISTRY_H_
