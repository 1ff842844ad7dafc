// What the parts of the repository over a store agree on.
#ifndef DROPOUTD_SERVER_PERSISTENCE_STORE_LIMITS_H_
#define DROPOUTD_SERVER_PERSISTENCE_STORE_LIMITS_H_

#include "absl/status/status.h"
#include "server/base/error.h"
#include "server/session/clock.h"

namespace dropoutd {

inline constexpr int kMostTries = 32;

// After so many it keeps this server's own changes of the session out of its way.
inline constexpr int kTriesAmongOthers = 3;

inline absl::Status TooManyChanges() {
  return MakeError(Reason::kStoreUnavailable,
                   "the session changed too often during the call; repeat it");
}

// Of a store's answer: there is no such session.
inline bool IsNotThere(const absl::Status& status) {
  return absl::IsNotFound(status) && !ReasonOf(status).has_value();
}

// A store hears of renewals once in an eighth of the ttl, and keeps sessions so much longer.
inline Nanoseconds StoredTtl(Nanoseconds ttl) { return ttl + ttl / 8; }

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_STORE_LIMITS_H_
