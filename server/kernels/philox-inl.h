// Philox4x32-10 on vectors, compiled once for each instruction set.
//
// A 32-bit word of the state sits in the lower half of a 64-bit lane, so that a round is
// two widening multiplications, two shifts and four xors, with no shuffle; the upper
// halves hold leftovers that no operation reads.
#if defined(DROPOUTD_SERVER_KERNELS_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DROPOUTD_SERVER_KERNELS_PHILOX_INL_H_
#undef DROPOUTD_SERVER_KERNELS_PHILOX_INL_H_
#else
#define DROPOUTD_SERVER_KERNELS_PHILOX_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "server/kernels/philox_constants.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D64 = hn::ScalableTag<std::uint64_t>;
using D32 = hn::Repartition<std::uint32_t, D64>;
using V64 = hn::Vec<D64>;

// Round keys, each in the lower half of a lane.
struct RoundKeys {
  std::uint64_t k0[philox::kRounds];
  std::uint64_t k1[philox::kRounds];
};

inline RoundKeys MakeRoundKeys(const std::uint32_t key[2]) {
  RoundKeys keys;
  std::uint32_t k0 = key[0];
  std::uint32_t k1 = key[1];
  for (int r = 0; r < philox::kRounds; ++r) {
    keys.k0[r] = k0;
    keys.k1[r] = k1;
    k0 += philox::kWeyl0;
    k1 += philox::kWeyl1;
  }
  return keys;
}

// Block numbers of the lanes, relative to the vector's first, such that interleaving
// words 01 and 23 puts the blocks in order (interleaving works in 128-bit halves).
HWY_INLINE V64 LaneBlocks() {
  const D64 d;
  const V64 iota = hn::Iota(d, 0);
  const V64 odd = hn::And(iota, hn::Set(d, 1));
  const V64 half = hn::Mul(odd, hn::Set(d, hn::Lanes(d) / 2));
  return hn::Add(hn::ShiftRight<1>(iota), half);
}

// Runs `kGroups` vectors of counters (index, counter2, domain), interleaved so that their
// multiplications overlap. Answers of one block a lane: words 0 and 1 (lower and upper
// half) in w01, and 2 and 3 in w23; no struct of both, because its implicit constructor
// would be compiled without the instruction set.
template <std::size_t kGroups>
HWY_INLINE void Philox(const RoundKeys& keys, const V64 (&index)[kGroups], std::uint32_t counter2,
                       std::uint32_t domain, V64 (&w01)[kGroups], V64 (&w23)[kGroups]) {
  const D64 d;
  const D32 d32;
  const auto m0 = hn::BitCast(d32, hn::Set(d, philox::kMultiplier0));
  const auto m1 = hn::BitCast(d32, hn::Set(d, philox::kMultiplier1));
  V64 x0[kGroups], x1[kGroups], x2[kGroups], x3[kGroups];
  for (std::size_t g = 0; g < kGroups; ++g) {
    x0[g] = index[g];
    x1[g] = hn::ShiftRight<32>(index[g]);
    x2[g] = hn::Set(d, counter2);
    x3[g] = hn::Set(d, domain);
  }
  for (int r = 0; r < philox::kRounds; ++r) {
    const V64 k0 = hn::Set(d, keys.k0[r]);
    const V64 k1 = hn::Set(d, keys.k1[r]);
    for (std::size_t g = 0; g < kGroups; ++g) {
      const V64 p0 = hn::MulEven(hn::BitCast(d32, x0[g]), m0);
      const V64 p1 = hn::MulEven(hn::BitCast(d32, x2[g]), m1);
      x0[g] = hn::Xor3(hn::ShiftRight<32>(p1), x1[g], k0);
      x1[g] = p1;
      x2[g] = hn::Xor3(hn::ShiftRight<32>(p0), x3[g], k1);
      x3[g] = p0;
    }
  }
  for (std::size_t g = 0; g < kGroups; ++g) {
    const auto join = [&](V64 low, V64 high) HWY_ATTR {
      return hn::BitCast(
          d, hn::OddEven(hn::BitCast(d32, hn::ShiftLeft<32>(high)), hn::BitCast(d32, low)));
    };
    w01[g] = join(x0[g], x1[g]);
    w23[g] = join(x2[g], x3[g]);
  }
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard, toggled for each target
