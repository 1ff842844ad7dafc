// A connection in use, with what is known of its server.
#ifndef DROPOUTD_SERVER_STORE_REDIS_LINK_H_
#define DROPOUTD_SERVER_STORE_REDIS_LINK_H_

#include <chrono>
#include <cstdint>
#include <memory>

#include "server/store/redis_connection.h"

namespace dropoutd {

struct RedisLink {
  std::unique_ptr<RedisConnection> connection;
  int group = 0;  // RedisTopology::GroupOf.

  // Redis's clock, in milliseconds, less the store's own. As late as the way of an answer is long.
  std::int64_t ahead = 0;

  // What the server answered says that another serves now.
  bool is_suspect = false;

  void SawTime(std::int64_t of_redis, std::chrono::nanoseconds now) {
    ahead = of_redis - std::chrono::floor<std::chrono::milliseconds>(now).count();
  }
  std::int64_t TimeAt(std::chrono::nanoseconds now) const {
    return ahead + std::chrono::floor<std::chrono::milliseconds>(now).count();
  }
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_LINK_H_
