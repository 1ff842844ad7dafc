// Which Redis servers there are, and which of them serves what.
#ifndef DROPOUTD_SERVER_STORE_REDIS_TOPOLOGY_H_
#define DROPOUTD_SERVER_STORE_REDIS_TOPOLOGY_H_

#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/redis_connection.h"

namespace dropoutd {

// Sessions are in buckets, 0 to kRedisBuckets - 1. All keys of bucket B have the hash tag {B}, in
// decimal digits, and so one slot of a cluster.
inline constexpr int kRedisBuckets = 1024;

// Thread-safe. Never sleeps for longer than a connection's time-outs.
class RedisTopology {
 public:
  virtual ~RedisTopology() = default;

  // A new connection to the primary that serves the bucket, as far as is known.
  // STORE_UNAVAILABLE if there is none, or it cannot be reached, or is no primary any more.
  virtual absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(int bucket) = 0;

  // Connections of one group are interchangeable. It changes when another server takes over, so
  // that what is kept of an old group is never used again. Cheap: it asks nobody.
  virtual int GroupOf(int bucket) = 0;

  // A command for the bucket failed as it does where another server serves it now, or will soon:
  // look again before the next Connect. `error`: what Redis answered (MOVED, READONLY, CLUSTERDOWN,
  // LOADING and the like, the whole text), or empty where a connection was lost or refused.
  virtual void Suspect(int bucket, std::string_view error) = 0;

  // OK if no other server had taken over from the group's primary when this was called, so that
  // what the primary has answered before counts. Else STORE_UNAVAILABLE: another server may have
  // answered otherwise meanwhile, and what was written is lost or will be, though replicas have
  // acknowledged it. May ask other servers: called where a change waits for replicas.
  virtual absl::Status Confirm(int bucket, int group) = 0;

  // A new connection to the server that an answer "ASK SLOT HOST:PORT" names. The caller sends
  // ASKING before each command. Of a cluster alone.
  virtual absl::StatusOr<std::unique_ptr<RedisConnection>> ConnectAsked(std::string_view ask) = 0;

  // Whether buckets are on different servers, so that nothing may be kept outside of them.
  virtual bool is_cluster() const = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_TOPOLOGY_H_
