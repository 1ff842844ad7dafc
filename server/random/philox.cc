#include "server/random/philox.h"

#include "server/kernels/philox_constants.h"

namespace dropoutd {

PhiloxBlock Philox4x32(PhiloxCounter c, PhiloxKey key) {
  for (int round = 0; round < philox::kRounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{philox::kMultiplier0} * c[0];
    const std::uint64_t p1 = std::uint64_t{philox::kMultiplier1} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += philox::kWeyl0;
    key[1] += philox::kWeyl1;
  }
  return c;
}

}  // namespace dropoutd
