#include "tests/bench/best_copy.h"

#include <cstddef>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/bench/best_copy.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dropoutd::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kAhead = 4096;  // Bytes; from 2 to 16 KiB it makes no difference.
constexpr std::size_t kStep = 256;
constexpr std::size_t kLine = 64;

void BestCopy(const void* from, std::size_t byte_size, void* to) {
  const hn::ScalableTag<std::uint8_t> d;
  const auto* const in = static_cast<const std::uint8_t*>(from);
  auto* const out = static_cast<std::uint8_t*>(to);
  for (std::size_t at = 0; at < byte_size; at += kStep) {
    for (std::size_t i = 0; i < kStep; i += kLine) hwy::Prefetch(in + at + kAhead + i);
    for (std::size_t i = 0; i < kStep; i += hn::Lanes(d)) {
      hn::Stream(hn::Load(d, in + at + i), d, out + at + i);
    }
  }
  hwy::FlushStream();
}

}  // namespace dropoutd::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::bench {

HWY_EXPORT(BestCopy);

void BestCopy(const void* from, std::size_t byte_size, void* to) {
  HWY_DYNAMIC_DISPATCH(BestCopy)(from, byte_size, to);
}

}  // namespace dropoutd::bench
#endif
