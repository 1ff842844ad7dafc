// A connection to a Redis server.
#ifndef DROPOUTD_SERVER_STORE_REDIS_CONNECTION_H_
#define DROPOUTD_SERVER_STORE_REDIS_CONNECTION_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct redisContext;
struct redisReply;

namespace dropoutd {

struct RedisAddress {
  std::string host;
  int port = 6379;
  std::string user;      // Empty: the default one.
  std::string password;  // Empty: none is needed.
  int database = 0;
  std::chrono::milliseconds connect_timeout{1000};
  std::chrono::milliseconds command_timeout{3000};
};

struct FreeRedisReply {
  void operator()(redisReply* reply) const;
};
using RedisReply = std::unique_ptr<redisReply, FreeRedisReply>;

// A Lua script, known to the server by its hash.
struct RedisScript {
  explicit RedisScript(std::string source);

  std::string source;
  std::string sha;
};

// The text of a command, or of one argument.
using RedisArguments = std::vector<std::string_view>;

// Not thread-safe. After an error of the connection itself it is of no further use: is_broken().
// Errors: STORE_UNAVAILABLE, which name no address and no secret.
class RedisConnection {
 public:
  static absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(const RedisAddress& address);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  bool is_broken() const;

  // Names the server's process.
  const std::string& run_id() const { return run_id_; }

  // Whoever uses the connection numbers the histories that its server's process begins.
  std::uint64_t history() const { return history_; }
  void set_history(std::uint64_t history) { history_ = history; }

  // Queues a call of a script, and takes the answer of the first one that has none. What the
  // server does not know yet it is told.
  void Append(const RedisScript& script, const RedisArguments& keys,
              const RedisArguments& arguments);
  absl::StatusOr<RedisReply> Receive();

  // Both.
  absl::StatusOr<RedisReply> Call(const RedisScript& script, const RedisArguments& keys,
                                  const RedisArguments& arguments);

 private:
  explicit RedisConnection(redisContext* context) : context_(context) {}

  absl::StatusOr<RedisReply> Run(const RedisArguments& command);

  redisContext* context_;
  bool is_demoted_ = false;  // Its server takes no writes any more; another one may.
  std::string run_id_;
  std::uint64_t history_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_CONNECTION_H_
