// Noise of a sequential generator: bits whose meaning is the order in which they are drawn.
#ifndef DROPOUTD_SERVER_DROPOUT_SEQUENTIAL_NOISE_H_
#define DROPOUTD_SERVER_DROPOUT_SEQUENTIAL_NOISE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "server/base/running_work.h"
#include "server/dropout/packed_bits.h"
#include "server/random/numpy_legacy.h"

namespace dropoutd {

// The stream of GENERATOR_NUMPY_LEGACY. A copy goes its own way from the same place. Not
// thread-safe: one thread at a time draws.
class SequentialNoise {
 public:
  static constexpr std::uint64_t kMaxSeed = NumpyLegacyStream::kMaxSeed;

  // seed <= kMaxSeed.
  explicit SequentialNoise(std::uint64_t seed) : stream_(seed) {}

  // Fills `bits`: each is 0 with probability p.
  void Draw(double p, PackedBits& bits) {
    constexpr std::size_t kPiece = std::size_t{1} << 16;
    for (std::size_t at = 0; at < bits.count(); at += kPiece) {
      stream_.KeepBits(p, std::min(kPiece, bits.count() - at), bits.data() + at / 8);
      Checkpoint();
    }
  }

  // Where the stream is, as bytes, and back: false, and nothing changed, if these are none.
  std::string State() const { return stream_.State(); }
  bool SetState(const std::string& bytes) { return stream_.SetState(bytes); }

 private:
  NumpyLegacyStream stream_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_SEQUENTIAL_NOISE_H_
