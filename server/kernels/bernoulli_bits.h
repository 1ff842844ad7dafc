// Packed Bernoulli bits from Philox, as docs/mask-format.md defines them.
//
// Thread safety: free functions on the caller's memory, no shared state.
#ifndef DROPOUTD_SERVER_KERNELS_BERNOULLI_BITS_H_
#define DROPOUTD_SERVER_KERNELS_BERNOULLI_BITS_H_

#include <cstddef>
#include <cstdint>

#include "server/kernels/noise_stream.h"

namespace dropoutd::kernels {

struct BernoulliStream : NoiseStream {
  std::uint64_t threshold = 0;  // P(0 bit) = threshold / 2^64.
};

// Writes the bits of the indices first .. first + count - 1, 1 = kept, to the
// (count + 7) / 8 bytes at `bits`, least significant bit first; unused bits of the last
// byte are 0. first + count must stay below 2^63.
void BernoulliBits(const BernoulliStream& stream, std::uint64_t first, std::size_t count,
                   std::uint8_t* bits);

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_BERNOULLI_BITS_H_
