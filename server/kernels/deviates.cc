#include "server/kernels/deviates.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/deviates.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/elementary-inl.h"
#include "server/kernels/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

constexpr std::size_t kBlock = 2;   // Deviates of one Philox block.
constexpr std::size_t kGroups = 2;  // Vectors of blocks computed together.

using DD = hn::ScalableTag<double>;
using VD = hn::Vec<DD>;

// The upper 53 bits of each word as a number below 2^53.
HWY_INLINE VD Upper53(V64 words) {
  const hn::RebindToSigned<DD> di;
  return hn::ConvertTo(DD(), hn::BitCast(di, hn::ShiftRight<11>(words)));
}

// A law makes the two deviates of each block from its words 0, 1 and 2, 3.
struct NormalLaw {
  static constexpr std::uint32_t kDomain = kDomainNormal;

  // Box and Muller, "A note on the generation of random normal deviates", 1958.
  static HWY_INLINE void Draw(V64 w01, V64 w23, VD& even, VD& odd) {
    const DD d;
    const VD u1 = hn::Mul(hn::Add(Upper53(w01), hn::Set(d, 1.0)), hn::Set(d, 0x1p-53));
    const VD u2 = hn::Mul(Upper53(w23), hn::Set(d, 0x1p-53));
    const VD radius = hn::Sqrt(hn::Mul(hn::Set(d, -2.0), Log(d, u1)));
    VD sin, cos;
    SinCosTurns(d, u2, sin, cos);
    even = hn::Mul(radius, cos);
    odd = hn::Mul(radius, sin);
  }
};

struct UniformLaw {
  static constexpr std::uint32_t kDomain = kDomainUniform;

  static HWY_INLINE VD Uniform(V64 words) {
    const DD d;
    const V64 lowest = hn::Set(D64(), std::uint64_t{1} << 11);
    const VD u = hn::Mul(Upper53(hn::Or(words, lowest)), hn::Set(d, 0x1p-53));
    return hn::Min(hn::Max(u, hn::Set(d, 0x1p-24)), hn::Set(d, 1 - 0x1p-24));
  }

  static HWY_INLINE void Draw(V64 w01, V64 w23, VD& even, VD& odd) {
    even = Uniform(w01);
    odd = Uniform(w23);
  }
};

template <class Law>
HWY_INLINE void Draw(const NoiseStream& stream, std::uint64_t first, std::size_t count,
                     double* out) {
  const D64 d64;
  const DD d;
  constexpr std::size_t kLanes = hn::MaxLanes(DD());
  constexpr std::size_t kTile = kGroups * kLanes * kBlock;
  const RoundKeys keys = MakeRoundKeys(stream.key);
  const V64 lane_blocks = LaneBlocks();
  HWY_ALIGN double tile[kTile];
  std::uint64_t block = first / kBlock;
  std::size_t skip = first % kBlock;  // Of the first tile.
  for (std::size_t done = 0; done < count; block += kGroups * kLanes) {
    V64 index[kGroups], w01[kGroups], w23[kGroups];
    for (std::size_t g = 0; g < kGroups; ++g) {
      index[g] = hn::Add(lane_blocks, hn::Set(d64, block + g * kLanes));
    }
    Philox(keys, index, stream.counter2, Law::kDomain, w01, w23);
    for (std::size_t g = 0; g < kGroups; ++g) {
      VD even, odd;
      Law::Draw(w01[g], w23[g], even, odd);
      hn::Store(hn::InterleaveLower(d, even, odd), d, tile + 2 * g * kLanes);
      hn::Store(hn::InterleaveUpper(d, even, odd), d, tile + (2 * g + 1) * kLanes);
    }
    const std::size_t n = std::min(kTile - skip, count - done);
    std::memcpy(out + done, tile + skip, n * sizeof(double));
    done += n;
    skip = 0;
  }
}

void NormalDeviates(const NoiseStream& stream, std::uint64_t first, std::size_t count,
                    double* out) {
  Draw<NormalLaw>(stream, first, count, out);
}

void UniformDeviates(const NoiseStream& stream, std::uint64_t first, std::size_t count,
                     double* out) {
  Draw<UniformLaw>(stream, first, count, out);
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(NormalDeviates);
HWY_EXPORT(UniformDeviates);

void NormalDeviates(const NoiseStream& stream, std::uint64_t first, std::size_t count,
                    double* out) {
  HWY_DYNAMIC_DISPATCH(NormalDeviates)(stream, first, count, out);
}

void UniformDeviates(const NoiseStream& stream, std::uint64_t first, std::size_t count,
                     double* out) {
  HWY_DYNAMIC_DISPATCH(UniformDeviates)(stream, first, count, out);
}

}  // namespace dropoutd::kernels
#endif
