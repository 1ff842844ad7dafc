#include "server/kernels/masked_scale.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/masked_scale.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "server/kernels/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

constexpr std::size_t kGroup = 64;         // Elements of one 64-bit word of mask bits.
constexpr std::size_t kPrefetchAhead = 4096;

// How one element type is loaded, multiplied, selected and stored, a vector at a time.
// `Bits` is the vector type in which the mask is tested, with as many lanes.
template <typename T>
struct FloatType {
  using Scale = T;
  using Storage = T;
  using D = hn::ScalableTag<T>;
  using DBits = hn::RebindToUnsigned<D>;

  template <class V, class M>
  static HWY_INLINE void Apply(const T* x, M keep, V scale, T* y, bool stream) {
    const D d;
    const auto r = hn::IfThenElseZero(hn::RebindMask(d, keep), hn::Mul(hn::LoadU(d, x), scale));
    if (stream) {
      hn::Stream(r, d, y);
    } else {
      hn::StoreU(r, d, y);
    }
  }
};

template <class Format>
struct HalfType {
  using Scale = float;
  using Storage = std::uint16_t;
  using D = DF;
  using DBits = DU;

  template <class V, class M>
  static HWY_INLINE void Apply(const std::uint16_t* x, M keep, V scale, std::uint16_t* y,
                               bool stream) {
    const DU du;
    const hn::Rebind<std::uint16_t, DU> d16;
    const VU h = hn::PromoteTo(du, hn::LoadU(d16, x));
    const VU r = hn::IfThenElseZero(keep, Format::Narrow(hn::Mul(Format::Widen(h), scale)));
    // Results fit 16 bits, so that a signed saturating demotion needs a shift pair first.
    const auto narrow = hn::TruncateTo(d16, r);
    if (stream) {
      hn::Stream(narrow, d16, y);
    } else {
      hn::StoreU(narrow, d16, y);
    }
  }
};

// One word of mask bits: 64 elements.
template <class Type, class V>
HWY_INLINE void ApplyGroup(const typename Type::Storage* x, std::uint64_t word, V scale,
                           typename Type::Storage* y, bool stream) {
  const typename Type::DBits db;
  using TBits = hn::TFromD<typename Type::DBits>;
  constexpr std::size_t kWordBits = sizeof(TBits) * 8;
  const std::size_t lanes = hn::Lanes(db);
  const auto lane_bit = hn::Shl(hn::Set(db, 1), hn::Iota(db, 0));
  for (std::size_t at = 0; at < kGroup; at += kWordBits) {
    const auto bits = hn::Set(db, static_cast<TBits>(word >> at));
    for (std::size_t i = 0; i < kWordBits; i += lanes) {
      const auto shifted = hn::ShiftRightSame(bits, static_cast<int>(i));
      Type::Apply(x + at + i, hn::TestBit(shifted, lane_bit), scale, y + at + i, stream);
    }
  }
}

template <class Type>
HWY_INLINE void MaskedScale(const void* x_bytes, const std::uint8_t* bits, std::size_t n,
                            typename Type::Scale factor, void* y_bytes, Stores stores) {
  using T = typename Type::Storage;
  const typename Type::D d;
  const auto scale = hn::Set(d, factor);
  const auto* x = static_cast<const T*>(x_bytes);
  auto* y = static_cast<T*>(y_bytes);
  // Streaming stores need aligned places, and vectors of 16 bytes or more: Highway rounds
  // smaller ones up, past their end. Anything else is stored as usual.
  const std::size_t vector_bytes = hn::Lanes(d) * sizeof(T);
  const bool stream = stores == Stores::kStreaming && vector_bytes >= 16 &&
                      reinterpret_cast<std::uintptr_t>(y) % vector_bytes == 0;
  std::size_t i = 0;
  for (; i + kGroup <= n; i += kGroup) {
    std::uint64_t word;
    std::memcpy(&word, bits + i / 8, sizeof(word));
    if (stream) {
      for (std::size_t b = 0; b < kGroup * sizeof(T); b += 64) {
        hwy::Prefetch(reinterpret_cast<const char*>(x + i) + kPrefetchAhead + b);
      }
      ApplyGroup<Type>(x + i, word, scale, y + i, true);
    } else {
      ApplyGroup<Type>(x + i, word, scale, y + i, false);
    }
  }
  if (i < n) {
    T buffer[kGroup] = {};
    std::uint64_t word = 0;
    std::memcpy(buffer, x + i, (n - i) * sizeof(T));
    std::memcpy(&word, bits + i / 8, (n - i + 7) / 8);
    ApplyGroup<Type>(buffer, word, scale, buffer, false);
    std::memcpy(y + i, buffer, (n - i) * sizeof(T));
  }
}

void MaskedScaleF32(const void* x, const std::uint8_t* bits, std::size_t n, float scale, void* y,
                    Stores stores) {
  MaskedScale<FloatType<float>>(x, bits, n, scale, y, stores);
}

void MaskedScaleF64(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  MaskedScale<FloatType<double>>(x, bits, n, scale, y, stores);
}

void MaskedScaleF16(const void* x, const std::uint8_t* bits, std::size_t n, float scale, void* y,
                    Stores stores) {
  MaskedScale<HalfType<Float16Format>>(x, bits, n, scale, y, stores);
}

void MaskedScaleBF16(const void* x, const std::uint8_t* bits, std::size_t n, float scale, void* y,
                     Stores stores) {
  MaskedScale<HalfType<BFloat16Format>>(x, bits, n, scale, y, stores);
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(MaskedScaleF32);
HWY_EXPORT(MaskedScaleF64);
HWY_EXPORT(MaskedScaleF16);
HWY_EXPORT(MaskedScaleBF16);

void MaskedScaleF32(const void* x, const std::uint8_t* bits, std::size_t n, float scale, void* y,
                    Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleF32)(x, bits, n, scale, y, stores);
}

void MaskedScaleF64(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleF64)(x, bits, n, scale, y, stores);
}

void MaskedScaleF16(const void* x, const std::uint8_t* bits, std::size_t n, float scale, void* y,
                    Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleF16)(x, bits, n, scale, y, stores);
}

void MaskedScaleBF16(const void* x, const std::uint8_t* bits, std::size_t n, float scale, void* y,
                     Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleBF16)(x, bits, n, scale, y, stores);
}

void FlushStores() { hwy::FlushStream(); }

}  // namespace dropoutd::kernels
#endif
