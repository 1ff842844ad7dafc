// From (seed, layer_id, step or sequence_id) to the stream of a layer's random numbers, as
// docs/mask-format.md, sections 1 and 3, define it.
#ifndef DROPOUTD_SERVER_RANDOM_MASK_KEY_H_
#define DROPOUTD_SERVER_RANDOM_MASK_KEY_H_

#include <cstdint>
#include <string_view>

#include "server/kernels/bernoulli_bits.h"
#include "server/kernels/noise_stream.h"

namespace dropoutd {

// What a mask is shared by: the domain of its key.
enum class KeyKind { kStep, kSequence };

struct MaskKey {
  std::uint64_t seed = 0;
  std::string_view layer_id;
  KeyKind kind = KeyKind::kStep;
  std::uint64_t value = 0;  // The step, or the sequence_id.
};

// floor(p * 2^64) for p in [0, 1).
std::uint64_t BernoulliThreshold(double p);

// The key's stream, for any kind of draw. A pure function; thread-safe.
kernels::NoiseStream MakeNoiseStream(const MaskKey& key);

// The same, of bits with P(0) = p. A pure function; thread-safe.
kernels::BernoulliStream MakeBernoulliStream(const MaskKey& key, double p);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_RANDOM_MASK_KEY_H_
