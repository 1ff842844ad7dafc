// A change, as the script that makes it takes it, and what became of it.
#ifndef DROPOUTD_SERVER_STORE_REDIS_COMMIT_H_
#define DROPOUTD_SERVER_STORE_REDIS_COMMIT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/store/redis_call.h"
#include "server/store/redis_keys.h"
#include "server/store/redis_value.h"
#include "server/store/store.h"

namespace dropoutd {

// How many sessions there are that the script cannot see.
struct SessionsElsewhere {
  std::uint64_t of_tenant = 0;
  std::uint64_t all = 0;
};

RedisCall CommitCallOf(const RedisKeys& keys, const StoreChange& change,
                       const SessionsElsewhere& elsewhere);

// STORE_UNAVAILABLE also where the change was not made now but may have been before.
absl::StatusOr<StoreResult> CommitResultOf(const RedisCall& call, const RedisValue& answer);

// What stands at a session's key of format 1: a server of then takes it for damaged.
std::string StubDocument();

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_COMMIT_H_
