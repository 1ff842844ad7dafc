#include "server/kernels/bernoulli_bits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/bernoulli_bits.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/bernoulli_bits-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

void BernoulliBits(const BernoulliStream& stream, std::uint64_t first, std::size_t count,
                   std::uint8_t* bits) {
  ForEachTile(
      stream, first, count, {bits, nullptr}, [](std::size_t) {}, [](std::size_t, std::size_t) {});
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(BernoulliBits);

void BernoulliBits(const BernoulliStream& stream, std::uint64_t first, std::size_t count,
                   std::uint8_t* bits) {
  HWY_DYNAMIC_DISPATCH(BernoulliBits)(stream, first, count, bits);
}

}  // namespace dropoutd::kernels
#endif
