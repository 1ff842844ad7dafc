// Connections that wait for the next call.
#ifndef DROPOUTD_SERVER_STORE_REDIS_POOL_H_
#define DROPOUTD_SERVER_STORE_REDIS_POOL_H_

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/store/redis_link.h"
#include "server/store/redis_topology.h"

namespace dropoutd {

// Thread-safe.
class RedisPool {
 public:
  // The topology outlives it.
  RedisPool(RedisTopology& topology, std::function<std::chrono::nanoseconds()> now)
      : topology_(topology), now_(std::move(now)) {}

  // One to the bucket's primary, whose clock it knows. One that Redis has closed while it was idle
  // is not handed out. Errors: RedisTopology::Connect's.
  absl::StatusOr<RedisLink> Take(int bucket);

  // The same of the server that an answer ASK names.
  absl::StatusOr<RedisLink> TakeAsked(std::string_view ask);

  // A broken or suspect one ends, with all of its group.
  void GiveBack(RedisLink link);

 private:
  absl::StatusOr<RedisLink> Ready(absl::StatusOr<std::unique_ptr<RedisConnection>> connection);

  RedisTopology& topology_;
  const std::function<std::chrono::nanoseconds()> now_;
  std::mutex mutex_;
  std::map<int, std::vector<RedisLink>> idle_;  // By group.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_POOL_H_
