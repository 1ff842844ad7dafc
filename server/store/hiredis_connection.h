// A connection to a Redis server over TCP.
#ifndef DROPOUTD_SERVER_STORE_HIREDIS_CONNECTION_H_
#define DROPOUTD_SERVER_STORE_HIREDIS_CONNECTION_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/redis_connection.h"

struct redisContext;

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

// As RedisConnection.
class HiredisConnection final : public RedisConnection {
 public:
  // Connects, and says who it is. STORE_UNAVAILABLE if that fails or is refused.
  static absl::StatusOr<std::unique_ptr<HiredisConnection>> Connect(const RedisAddress& address);
  ~HiredisConnection() override;
  HiredisConnection(const HiredisConnection&) = delete;
  HiredisConnection& operator=(const HiredisConnection&) = delete;

  using RedisConnection::Append;
  void Append(const RedisArguments& command) override;
  absl::StatusOr<RedisValue> Receive() override;
  bool is_broken() const override;
  bool HasBeenClosed() override;

  // To wait for what the server says unasked; -1 once the connection is broken.
  int descriptor() const;

 private:
  explicit HiredisConnection(redisContext* context) : context_(context) {}

  redisContext* const context_;
  bool is_closed_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_HIREDIS_CONNECTION_H_
