// What a connection may ask for, and how long it may be silent.
#ifndef DROPOUTD_SERVER_MAIN_LISTEN_CONNECTION_LIMITS_H_
#define DROPOUTD_SERVER_MAIN_LISTEN_CONNECTION_LIMITS_H_

#include <grpcpp/server_builder.h>

#include <chrono>
#include <cstdint>

namespace dropoutd {

struct ConnectionLimits {
  std::int64_t max_connections = 0;           // 0: what the limit of open files leaves.
  std::int64_t max_concurrent_streams = 100;  // Calls under way, of one connection.
  std::int64_t max_header_bytes = 8192;       // Of one call.
  // A silent peer is asked after `keepalive_time`, and has gone if it does not answer in time.
  std::chrono::nanoseconds keepalive_time = std::chrono::seconds(30);
  std::chrono::nanoseconds keepalive_timeout = std::chrono::seconds(10);
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(10);
  // 0: no limit.
  std::chrono::nanoseconds max_connection_idle{0};
  std::chrono::nanoseconds max_connection_age{0};
};

// Applies the limits to the server that is built; max_connections is the acceptor's. A client may
// ping once a second; the connection of one that pings more often is closed. A connection as old as
// max_connection_age takes no more calls; it is closed when those under way have ended, after
// `age_grace` at the latest.
void ApplyLimits(const ConnectionLimits& limits, std::chrono::nanoseconds age_grace,
                 grpc::ServerBuilder& builder);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_LISTEN_CONNECTION_LIMITS_H_
