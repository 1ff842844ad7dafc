// The other servers beside a primary, to learn whether one has taken over from it.
#ifndef DROPOUTD_SERVER_STORE_REDIS_PEERS_H_
#define DROPOUTD_SERVER_STORE_REDIS_PEERS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/store/hiredis_connection.h"
#include "server/store/redis_url.h"

namespace dropoutd {

// What a server says of itself and its data.
struct ReplicationState {
  bool is_primary = false;
  std::string history;  // Names the stream of changes that its data are of.
  std::string parent;   // The one that it had gone on from when it became a primary.
};

// STORE_UNAVAILABLE if it does not say.
absl::StatusOr<ReplicationState> AskReplicationState(RedisConnection& connection);

// Thread-safe.
class RedisPeers {
 public:
  explicit RedisPeers(RedisLogin login) : login_(std::move(login)) {}

  void Set(std::vector<RedisHost> hosts);

  // Whether one of them has become a primary from a replica of the history's: what the history's
  // own primary writes from then on is lost. One that cannot be reached is taken for one that has
  // not, and is left alone for a second. One round trip to all at once.
  bool HaveSuccessorOf(std::string_view history);

 private:
  // A connection, or null, to each. One thread at a time uses a set.
  struct Connections {
    std::uint64_t generation = 0;  // Of the hosts.
    std::vector<RedisHost> hosts;
    std::vector<std::unique_ptr<HiredisConnection>> connections;
  };

  Connections Take();
  void GiveBack(Connections connections);
  std::unique_ptr<HiredisConnection> Connect(const RedisHost& host);  // Null: it is left alone.
  bool IsLeftAlone(const RedisHost& host);
  void LeaveAlone(const RedisHost& host);

  const RedisLogin login_;
  std::mutex mutex_;
  std::uint64_t generation_ = 0;
  std::vector<RedisHost> hosts_;
  std::vector<std::chrono::steady_clock::time_point> left_alone_;  // Until then.
  std::vector<Connections> idle_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_PEERS_H_
