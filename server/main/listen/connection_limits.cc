#include "server/main/listen/connection_limits.h"

#include <grpc/impl/codegen/grpc_types.h>

#include <algorithm>
#include <limits>

namespace dropoutd {
namespace {

int Int(std::int64_t value) {
  return static_cast<int>(std::min<std::int64_t>(value, std::numeric_limits<int>::max()));
}

// At least 1, because 0 means something else.
int Milliseconds(std::chrono::nanoseconds time) {
  return Int(std::max<std::int64_t>(
      1, std::chrono::duration_cast<std::chrono::milliseconds>(time).count()));
}

// Peers that ask more often than once a second whether the server is there are closed. gRPC's own
// limit is five minutes, which closes clients that ask every 10 s or more, as load balancers and
// mobile networks make them.
constexpr int kPingIntervalMs = 1000;

}  // namespace

void ApplyLimits(const ConnectionLimits& limits, std::chrono::nanoseconds age_grace,
                 grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, Int(limits.max_concurrent_streams));
  // Else a quick connection's streams may send megabytes before their handlers have begun, and no
  // handler asked for them. A handler that reads gets the whole message's window at once.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, Int(limits.max_header_bytes));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(limits.keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(limits.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             Milliseconds(limits.handshake_timeout));
  if (limits.max_connection_idle.count() != 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                               Milliseconds(limits.max_connection_idle));
  }
  if (limits.max_connection_age.count() != 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               Milliseconds(limits.max_connection_age));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Milliseconds(age_grace));
  }
}

}  // namespace dropoutd
