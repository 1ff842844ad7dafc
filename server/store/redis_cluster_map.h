// Which node of a Redis Cluster serves each bucket, as one node tells it.
#ifndef DROPOUTD_SERVER_STORE_REDIS_CLUSTER_MAP_H_
#define DROPOUTD_SERVER_STORE_REDIS_CLUSTER_MAP_H_

#include <optional>
#include <string_view>
#include <vector>

#include "server/store/redis_url.h"
#include "server/store/redis_value.h"

namespace dropoutd {

// The primary of a range of slots.
struct ClusterRange {
  int first = 0;
  int last = 0;  // Inclusive.
  RedisHost primary;
};

// Of the answer to CLUSTER SLOTS by the node at `asked`, which leaves out its own address where it
// does not know it. Nothing if it is no such answer. Ranges whose primary has no address known are
// left out.
std::optional<std::vector<ClusterRange>> ParseClusterSlots(const RedisValue& answer,
                                                           const RedisHost& asked);

// The slot and the server of "MOVED SLOT HOST:PORT" or "ASK SLOT HOST:PORT".
struct ClusterRedirection {
  int slot = 0;
  RedisHost host;  // Without a name: the host of whoever has answered.
};
std::optional<ClusterRedirection> ParseRedirection(std::string_view error);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_CLUSTER_MAP_H_
