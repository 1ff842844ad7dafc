// Constants of Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
// as easy as 1, 2, 3", SC 2011).
#ifndef DROPOUTD_SERVER_KERNELS_PHILOX_CONSTANTS_H_
#define DROPOUTD_SERVER_KERNELS_PHILOX_CONSTANTS_H_

#include <cstdint>

namespace dropoutd::philox {

inline constexpr int kRounds = 10;
inline constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
inline constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
inline constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
inline constexpr std::uint32_t kWeyl1 = 0xBB67AE85;

}  // namespace dropoutd::philox

#endif  // DROPOUTD_SERVER_KERNELS_PHILOX_CONSTANTS_H_
