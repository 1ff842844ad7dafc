#include "server/store/open_store.h"

#include <string>
#include <utility>

#include "server/base/status_macros.h"
#include "server/store/hiredis_connection.h"
#include "server/store/redis_cluster_topology.h"
#include "server/store/redis_sentinel_topology.h"
#include "server/store/redis_store.h"
#include "server/store/single_topology.h"

namespace dropoutd {
namespace {

constexpr std::string_view kSqlite = "sqlite:";
constexpr std::string_view kFull = "?synchronous=full";

absl::Status Invalid(std::string_view what) {
  return absl::InvalidArgumentError(absl::string_view(what.data(), what.size()));
}

std::unique_ptr<RedisTopology> MakeTopology(const RedisUrl& url) {
  if (url.kind == RedisKind::kSentinel) return std::make_unique<RedisSentinelTopology>(url);
  if (url.kind == RedisKind::kCluster) return std::make_unique<RedisClusterTopology>(url);
  return std::make_unique<SingleTopology>(
      RedisAddressOf(url.hosts.front(), url.login, url.database));
}

}  // namespace

absl::StatusOr<StoreAddress> ParseStoreAddress(std::string_view text) {
  if (text == "memory") return StoreAddress();
  if (text.starts_with(kSqlite)) {
    SqliteAddress address;
    text.remove_prefix(kSqlite.size());
    if (text.ends_with(kFull)) {
      address.synchronous_full = true;
      text.remove_suffix(kFull.size());
    }
    if (text.empty()) return Invalid("must have a path: sqlite:PATH");
    address.path = text;
    return address;
  }
  if (IsRedisUrl(text)) return ParseRedisUrl(text);
  return Invalid(
      "must be memory, sqlite:PATH, redis://HOST:PORT, redis+sentinel://HOST:PORT,.../PRIMARY or "
      "redis+cluster://HOST:PORT,...");
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreAddress& address) {
  if (const auto* sqlite = std::get_if<SqliteAddress>(&address)) {
    SqliteOptions options;
    options.synchronous_full = sqlite->synchronous_full;
    return SqliteStore::Open(sqlite->path, options);
  }
  if (const auto* redis = std::get_if<RedisUrl>(&address)) {
    RedisOptions options;
    options.wait_replicas = redis->wait_replicas;
    return RedisStore::Open(MakeTopology(*redis), std::move(options));
  }
  return nullptr;
}

}  // namespace dropoutd
