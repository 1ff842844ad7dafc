// The names of the keys in Redis.
#ifndef DROPOUTD_SERVER_STORE_REDIS_KEYS_H_
#define DROPOUTD_SERVER_STORE_REDIS_KEYS_H_

#include <string>
#include <string_view>
#include <vector>

#include "server/base/token.h"
#include "server/store/store.h"

namespace dropoutd {

// The bucket of a session's key, by its CRC-32C.
int RedisBucketOf(std::string_view key);

// The sessions of a bucket in byte order, and by their ends. In a cluster each bucket has its own,
// elsewhere there is one for all.
struct RedisIndex {
  RedisIndex(int bucket, bool is_cluster);

  std::string keys;
  std::string expiry;
};

// Those of format 1.
inline constexpr std::string_view kOldRedisKeys = "dropout:keys";
inline constexpr std::string_view kOldRedisExpiry = "dropout:expiry";

// The keys of a session.
struct RedisKeys {
  RedisKeys(std::string_view session, bool is_cluster);

  // Those of an incarnation's fields begin with this.
  std::string BaseOf(Token incarnation) const;

  // d, f, n, x, keys, expiry and, outside of a cluster, the stub.
  std::vector<std::string> Of(Token incarnation) const;

  std::string session;
  bool is_cluster;
  int bucket;
  RedisIndex index;
  std::string d;
  std::string stub;  // The key d of format 1. Empty in a cluster, where that never was.
};

// Bounds of a sorted set's names.
struct RedisBounds {
  std::string first;
  std::string last;
};
RedisBounds BoundsOf(const FieldRange& range);
RedisBounds BoundsOfPrefix(std::string_view prefix);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_KEYS_H_
