// The primary that Redis Sentinels name.
#ifndef DROPOUTD_SERVER_STORE_REDIS_SENTINEL_TOPOLOGY_H_
#define DROPOUTD_SERVER_STORE_REDIS_SENTINEL_TOPOLOGY_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/redis_peers.h"
#include "server/store/redis_sentinel_client.h"
#include "server/store/redis_topology.h"
#include "server/store/redis_url.h"

namespace dropoutd {

// Asks the Sentinels who the primary is: when something fails, and when one of them says that it
// has changed. More than half of them are asked and the latest view counts, so that one that was
// cut off leads nobody back to a server that is the primary no more; and a server is trusted only
// if it says itself that it is one. If no Sentinel answers the primary that is known goes on.
// Thread-safe. One thread follows the news; construction asks nobody.
class RedisSentinelTopology final : public RedisTopology {
 public:
  // `url`: of kind kSentinel.
  explicit RedisSentinelTopology(const RedisUrl& url);
  ~RedisSentinelTopology() override;
  RedisSentinelTopology(const RedisSentinelTopology&) = delete;
  RedisSentinelTopology& operator=(const RedisSentinelTopology&) = delete;

  absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(int bucket) override;
  int GroupOf(int) override { return group_; }
  void Suspect(int, std::string_view) override { ++suspicions_; }

  // Asks the other servers. A fail-over that is asked for leaves the old primary at work for
  // seconds, and the replicas that were not chosen acknowledge what it writes.
  absl::Status Confirm(int bucket, int group) override;
  absl::StatusOr<std::unique_ptr<RedisConnection>> ConnectAsked(std::string_view ask) override;
  bool is_cluster() const override { return false; }

 private:
  struct Listener {
    RedisAddress sentinel;
    std::optional<RedisSentinelClient> client;
    std::chrono::steady_clock::time_point next_try;
  };

  RedisAddress SentinelAddress(const RedisHost& host) const;

  struct Known {
    RedisHost primary;
    int group = 0;
  };

  absl::StatusOr<std::unique_ptr<RedisConnection>> ConnectToPrimary();

  // The primary, asked for anew if there has been a suspicion since it was last.
  absl::StatusOr<Known> Primary();
  absl::StatusOr<SentinelView> LatestView();
  void Learn(const SentinelView& view);

  void Follow();
  void Await(std::vector<Listener>& listeners);
  bool HasNews(Listener& listener);

  const RedisUrl url_;
  std::atomic<int> group_ = 0;                 // How often the primary has changed.
  std::atomic<std::uint64_t> suspicions_ = 1;  // So that the first Connect asks.

  std::mutex ask_mutex_;                  // Held while Sentinels are asked: one thread does.
  std::vector<RedisHost> sentinels_;      // Those that have answered come first.
  std::atomic<std::uint64_t> asked_ = 0;  // How often.
  std::uint64_t answered_ = 0;            // The suspicions that the last answer has settled.
  RedisHost primary_;                     // No port: none is known.

  std::mutex history_mutex_;
  std::string history_;  // Of the primary that was connected to last.
  int history_group_ = -1;

  RedisPeers peers_;

  const int wake_;  // An eventfd that ends the thread.
  std::thread follower_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_SENTINEL_TOPOLOGY_H_
