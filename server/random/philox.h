// Philox4x32-10, one block at a time: a counter-based generator (Salmon et al., SC 2011).
// The SIMD form is server/kernels/philox-inl.h.
#ifndef DROPOUTD_SERVER_RANDOM_PHILOX_H_
#define DROPOUTD_SERVER_RANDOM_PHILOX_H_

#include <array>
#include <cstdint>

namespace dropoutd {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;
using PhiloxBlock = std::array<std::uint32_t, 4>;

// A pure function; thread-safe.
PhiloxBlock Philox4x32(PhiloxCounter counter, PhiloxKey key);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_RANDOM_PHILOX_H_
