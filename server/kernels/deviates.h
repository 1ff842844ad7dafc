// Normal and uniform deviates from Philox, as docs/mask-format.md, section 6, defines them.
// Element g of a stream depends on g alone, and its bits are the same on every instruction
// set.
//
// Thread safety: free functions on the caller's memory, no shared state.
#ifndef DROPOUTD_SERVER_KERNELS_DEVIATES_H_
#define DROPOUTD_SERVER_KERNELS_DEVIATES_H_

#include <cstddef>
#include <cstdint>

#include "server/kernels/noise_stream.h"

namespace dropoutd::kernels {

// out[i] = the standard normal deviate of index first + i, at most 8.6 in magnitude.
// first + count must stay below 2^63.
void NormalDeviates(const NoiseStream& stream, std::uint64_t first, std::size_t count, double* out);

// out[i] = the uniform deviate of index first + i, in [2^-24, 1 - 2^-24]. first + count must
// stay below 2^63.
void UniformDeviates(const NoiseStream& stream, std::uint64_t first, std::size_t count,
                     double* out);

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_DEVIATES_H_
