// The address of a Redis as an operator writes it: one server, Sentinels or a cluster.
#ifndef DROPOUTD_SERVER_STORE_REDIS_URL_H_
#define DROPOUTD_SERVER_STORE_REDIS_URL_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/store/hiredis_connection.h"

namespace dropoutd {

struct RedisHost {
  std::string name;  // A host's name or address; an IPv6 address has no brackets.
  int port = 0;

  friend bool operator==(const RedisHost&, const RedisHost&) = default;
};

struct RedisLogin {
  std::string user;      // Empty: the default one.
  std::string password;  // Empty: none is needed.

  friend bool operator==(const RedisLogin&, const RedisLogin&) = default;
};

enum class RedisKind { kSingle, kSentinel, kCluster };

struct RedisUrl {
  RedisKind kind = RedisKind::kSingle;
  std::vector<RedisHost> hosts;  // The server, the Sentinels or some nodes of the cluster.
  RedisLogin login;              // At servers that hold data.
  RedisLogin sentinel_login;     // At Sentinels.
  std::string primary;           // Its name at the Sentinels.
  int database = 0;              // Of a cluster: 0.
  int wait_replicas = 0;         // How many replicas must have a change before it is answered.
};

inline constexpr int kMostWaitReplicas = 100;

// Whether `text` begins as an address of a Redis, even of a kind that there is not.
bool IsRedisUrl(std::string_view text);

// One of
//   redis://[USER:PASSWORD@]HOST[:6379][/DB]
//   redis+sentinel://[USER:PASSWORD@]HOST[:26379],.../PRIMARY[/DB]
//   redis+cluster://[USER:PASSWORD@]HOST[:6379],...
// followed by ?NAME=VALUE[&...] with wait_replicas=N, and of Sentinels sentinel_user=USER and
// sentinel_password=PASSWORD. Every part may be percent-encoded; `: / ? & , @ %` inside of one must
// be. IPv6 addresses stand in brackets. INVALID_ARGUMENT says what is wrong and what is allowed,
// and quotes nothing of the text but names of parameters.
absl::StatusOr<RedisUrl> ParseRedisUrl(std::string_view text);

// How to connect to a server, with the time-outs that are usual.
RedisAddress RedisAddressOf(const RedisHost& host, const RedisLogin& login, int database);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_URL_H_
