// How large a request may be.
#ifndef DROPOUTD_SERVER_SERVICE_MESSAGE_SIZE_H_
#define DROPOUTD_SERVER_SERVICE_MESSAGE_SIZE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace dropoutd {

// What a message may have around its tensor: ids, shape, tags.
inline constexpr std::int64_t kMessageHeadroom = 64 << 10;

// Most bytes of a request that has no tensor, and of one that creates a session with its layers.
inline constexpr std::size_t kSmallRequest = std::size_t{64} << 10;
inline constexpr std::size_t kSessionRequest = std::size_t{1} << 20;

// Most bytes of a message whose tensor may have `max_message_bytes`; gRPC wants an int.
inline int MaxRequestBytes(std::int64_t max_message_bytes) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::min(kMost, std::min(kMost, max_message_bytes) + kMessageHeadroom));
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_MESSAGE_SIZE_H_
