// The random numbers of one (seed, layer, step or sequence), as docs/mask-format.md,
// section 1, keys them.
#ifndef DROPOUTD_SERVER_KERNELS_NOISE_STREAM_H_
#define DROPOUTD_SERVER_KERNELS_NOISE_STREAM_H_

#include <cstdint>

namespace dropoutd::kernels {

struct NoiseStream {
  std::uint32_t key[2] = {0, 0};
  std::uint32_t counter2 = 0;  // Third word of every counter.
};

// Fourth word of every counter: what is drawn.
inline constexpr std::uint32_t kDomainBytes = 0;
inline constexpr std::uint32_t kDomainTies = 1;
inline constexpr std::uint32_t kDomainNormal = 2;
inline constexpr std::uint32_t kDomainUniform = 3;

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_NOISE_STREAM_H_
