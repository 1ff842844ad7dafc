// The sequential noise of a session.
#ifndef DROPOUTD_SERVER_SESSION_SHARED_STREAM_H_
#define DROPOUTD_SERVER_SESSION_SHARED_STREAM_H_

#include <cstdint>

#include "server/base/slow_mutex.h"
#include "server/dropout/sequential_noise.h"

namespace dropoutd {

// Whoever draws holds its lock, because the order of the draws is what it is about.
struct SharedStream {
  explicit SharedStream(std::uint64_t seed) : noise(seed) {}

  SlowMutex mutex;
  SequentialNoise noise;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SHARED_STREAM_H_
