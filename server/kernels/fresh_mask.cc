#include "server/kernels/fresh_mask.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/fresh_mask.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/bernoulli_bits-inl.h"
#include "server/kernels/mask_ops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

// Bytes from which on elements are asked for before they are used, because they may come from
// afar. (Where stores stream, ForEachGroup does so.)
constexpr std::size_t kPrefetchFrom = std::size_t{512} << 10;

template <class Type, class Rule>
HWY_INLINE void MaskFresh(const FreshBits& fresh, const void* x, std::size_t n, void* y,
                          Stores stores, const Rule& rule) {
  using T = typename Type::Storage;
  HWY_ALIGN std::uint8_t ring[BitsPlace::kRingTiles * kTile / 8];
  const BitsPlace place{fresh.kept, ring};
  const bool is_large = stores == Stores::kCached && n * sizeof(T) >= kPrefetchFrom;
  // Elements whose bits are known and that wait to be masked.
  std::size_t begin = 0;
  std::size_t end = 0;
  // Masks the next ones, up to `most`, which is a multiple of 64.
  const auto mask = [&](std::size_t most) HWY_ATTR {
    // Not past a tile's end, where the ring may.
    const std::size_t count = std::min({most, end - begin, kTile - begin % kTile});
    const T* const from = static_cast<const T*>(x) + begin;
    if (is_large) {
      for (std::size_t at = 0; at < count * sizeof(T); at += 64) {
        hwy::Prefetch(reinterpret_cast<const char*>(from) + kPrefetchAhead + at);
      }
    }
    MaskElements<Type>(from, place.At(begin), count, static_cast<T*>(y) + begin, stores, rule);
    begin += count;
  };
  const auto mask_all = [&]() HWY_ATTR {
    while (begin != end) mask(kTile);
  };
  ForEachTile(
      fresh.stream, fresh.first, n, place,
      [&](std::size_t ready) HWY_ATTR {
        mask_all();
        end = ready;
      },
      [&](std::size_t step, std::size_t steps) HWY_ATTR {
        if (begin == end) return;
        const std::size_t share = (end - begin + steps - step - 1) / (steps - step);
        mask((share + kGroup - 1) / kGroup * kGroup);
      });
  mask_all();
}

void FreshMaskedScaleF32(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                         void* y, Stores stores) {
  MaskFresh<Float32Type>(fresh, x, n, y, stores, ScaleKept{scale});
}

void FreshMaskedScaleF64(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                         void* y, Stores stores) {
  MaskFresh<Float64Type>(fresh, x, n, y, stores, ScaleKept{scale});
}

void FreshMaskedScaleF16(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                         void* y, Stores stores) {
  MaskFresh<Float16Type>(fresh, x, n, y, stores, ScaleKept{scale});
}

void FreshMaskedScaleBF16(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                          void* y, Stores stores) {
  MaskFresh<BFloat16Type>(fresh, x, n, y, stores, ScaleKept{scale});
}

void FreshAffineMaskF32(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                        void* y, Stores stores) {
  MaskFresh<Float32Type>(fresh, x, n, y, stores, AffineKept{f});
}

void FreshAffineMaskF64(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                        void* y, Stores stores) {
  MaskFresh<Float64Type>(fresh, x, n, y, stores, AffineKept{f});
}

void FreshAffineMaskF16(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                        void* y, Stores stores) {
  MaskFresh<Float16Type>(fresh, x, n, y, stores, AffineKept{f});
}

void FreshAffineMaskBF16(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                         void* y, Stores stores) {
  MaskFresh<BFloat16Type>(fresh, x, n, y, stores, AffineKept{f});
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(FreshMaskedScaleF32);
HWY_EXPORT(FreshMaskedScaleF64);
HWY_EXPORT(FreshMaskedScaleF16);
HWY_EXPORT(FreshMaskedScaleBF16);
HWY_EXPORT(FreshAffineMaskF32);
HWY_EXPORT(FreshAffineMaskF64);
HWY_EXPORT(FreshAffineMaskF16);
HWY_EXPORT(FreshAffineMaskBF16);

void FreshMaskedScaleF32(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                         void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(FreshMaskedScaleF32)(fresh, x, n, scale, y, stores);
}

void FreshMaskedScaleF64(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                         void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(FreshMaskedScaleF64)(fresh, x, n, scale, y, stores);
}

void FreshMaskedScaleF16(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                         void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(FreshMaskedScaleF16)(fresh, x, n, scale, y, stores);
}

void FreshMaskedScaleBF16(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                          void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(FreshMaskedScaleBF16)(fresh, x, n, scale, y, stores);
}

void FreshAffineMaskF32(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                        void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(FreshAffineMaskF32)(fresh, x, n, f, y, stores);
}

void FreshAffineMaskF64(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                        void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(FreshAffineMaskF64)(fresh, x, n, f, y, stores);
}

void FreshAffineMaskF16(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                        void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(FreshAffineMaskF16)(fresh, x, n, f, y, stores);
}

void FreshAffineMaskBF16(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                         void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(FreshAffineMaskBF16)(fresh, x, n, f, y, stores);
}

}  // namespace dropoutd::kernels
#endif
