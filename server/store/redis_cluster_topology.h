// The primaries of a Redis Cluster.
#ifndef DROPOUTD_SERVER_STORE_REDIS_CLUSTER_TOPOLOGY_H_
#define DROPOUTD_SERVER_STORE_REDIS_CLUSTER_TOPOLOGY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/hiredis_connection.h"
#include "server/store/redis_cluster_map.h"
#include "server/store/redis_topology.h"
#include "server/store/redis_url.h"

namespace dropoutd {

// Learns from any node which primary has which slots: at the first Connect, and again when a
// command fails; and at once, for one bucket, from MOVED. No node is trusted for long: one that
// was cut off is corrected by the next failure, which asks another. A replica refuses what is meant
// for its primary by MOVED, so that roles are not asked for. Thread-safe. Construction asks nobody.
class RedisClusterTopology final : public RedisTopology {
 public:
  // `url`: of kind kCluster.
  explicit RedisClusterTopology(const RedisUrl& url);

  absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(int bucket) override;

  // The number of the bucket's primary; -1 while none is known.
  int GroupOf(int bucket) override;
  void Suspect(int bucket, std::string_view error) override;
  // One that is cut off from most primaries stops by itself (cluster-node-timeout).
  absl::Status Confirm(int, int) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<RedisConnection>> ConnectAsked(std::string_view ask) override;
  bool is_cluster() const override { return true; }

 private:
  // Asks the nodes in turn, if there has been a suspicion since one was asked.
  absl::Status Refresh();
  absl::StatusOr<std::vector<ClusterRange>> Ask(const RedisHost& node) const;
  std::vector<RedisHost> NodesToAsk();

  // With mutex_ held.
  void Learn(const std::vector<ClusterRange>& ranges);
  int NumberOf(const RedisHost& node);

  const RedisUrl url_;
  std::array<int, kRedisBuckets> slots_;  // Of the buckets.

  std::mutex ask_mutex_;  // Held while nodes are asked: one thread does. Before mutex_.

  std::mutex mutex_;
  std::vector<RedisHost> nodes_;              // All that were ever named, by their numbers.
  std::array<int, kRedisBuckets> primaries_;  // Numbers; -1: not known.
  std::vector<RedisHost> to_ask_;             // In this order.
  std::uint64_t suspicions_ = 1;              // So that the first Connect asks.
  std::uint64_t answered_ = 0;                // The suspicions that the last answer has settled.
  std::uint64_t asked_ = 0;                   // How often nodes were asked.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_CLUSTER_TOPOLOGY_H_
