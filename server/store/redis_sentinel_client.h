// What one Sentinel says of a primary.
#ifndef DROPOUTD_SERVER_STORE_REDIS_SENTINEL_CLIENT_H_
#define DROPOUTD_SERVER_STORE_REDIS_SENTINEL_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/hiredis_connection.h"
#include "server/store/redis_url.h"

namespace dropoutd {

struct SentinelView {
  RedisHost primary;
  std::vector<RedisHost> nodes;  // All that it watches under this name, the primary too.
  std::int64_t epoch = 0;        // Of the fail-over that made it one; later ones are higher.
  bool is_failing_over = false;  // This Sentinel conducts one: of its epoch it knows most.
};

// A connection to one Sentinel. Not thread-safe. Errors: STORE_UNAVAILABLE.
class RedisSentinelClient {
 public:
  static absl::StatusOr<RedisSentinelClient> Connect(const RedisAddress& address);

  // Who the primary of this name is, as far as this Sentinel knows.
  absl::StatusOr<SentinelView> Ask(std::string_view primary);

  // From now on the connection is for news alone.
  absl::Status Subscribe();

  // Readable once there may be news.
  int descriptor() const { return connection_->descriptor(); }

  // Takes the news that there are, without a wait for more; true if another server has become the
  // primary of this name. An error too if the Sentinel does not answer.
  absl::StatusOr<bool> HasSwitched(std::string_view primary);

 private:
  explicit RedisSentinelClient(std::unique_ptr<HiredisConnection> connection)
      : connection_(std::move(connection)) {}

  std::unique_ptr<HiredisConnection> connection_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_SENTINEL_CLIENT_H_
