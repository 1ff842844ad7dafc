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

  // Adds `session` and returns it, or the one with its id if that was made from the same
  // spec. SESSION_EXISTS, QUOTA_SESSIONS.
  absl::StatusOr<std::shared_ptr<Session>> Add(std::shared_ptr<Session> session,
                                               const SessionSpec& spec);

  // Finds a session and renews it. SESSION_NOT_FOUND.
  absl::StatusOr<std::shared_ptr<Session>> Find(std::string_view session_id) const;

  // SESSION_NOT_FOUND.
  absl::Status Remove(std::string_view session_id);

  // Up to `count` sessions of the tenant of `after` with keys after it, sorted by key; does
  // not renew them.
  std::vector<std::shared_ptr<Session>> List(std::string_view after, std::size_t count) const;

  // Removes what has expired; returns how many.
  std::size_t RemoveExpired();

 private:
  using Sessions = std::map<std::string, std::shared_ptr<Session>, std::less<>>;

  // A session may expire no earlier than this. Renewals do not touch the queue: an entry
  // that comes up too early goes back in. Removals leave theirs until ForgetRemoved.
  struct Due {
    SteadyTime time;
    std::weak_ptr<Session> session;

    bool operator>(const Due& other) const { return time > other.time; }
  };

  // Moves what has expired to `expired`. The lock is held, by a writer.
  void TakeExpired(std::vector<std::shared_ptr<Session>>& expired);

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
