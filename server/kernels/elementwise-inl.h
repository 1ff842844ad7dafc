// What kernels of the form y[i] = f(x[i]) share: how each element type is read and written,
// and the walk over contiguous elements. Compiled once for each instruction set.
#if defined(DROPOUTD_SERVER_KERNELS_ELEMENTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DROPOUTD_SERVER_KERNELS_ELEMENTWISE_INL_H_
#undef DROPOUTD_SERVER_KERNELS_ELEMENTWISE_INL_H_
#else
#define DROPOUTD_SERVER_KERNELS_ELEMENTWISE_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "server/kernels/half-inl.h"
#include "server/kernels/stores.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

constexpr std::size_t kGroup = 64;  // Elements of one 64-bit word of mask bits.
constexpr std::size_t kPrefetchAhead = 8192;

// An element type: its Storage, and the type and vector in which it is Computed.
template <typename T>
struct FloatType {
  using Storage = T;
  using Compute = T;
  using D = hn::ScalableTag<T>;

  static HWY_INLINE hn::Vec<D> Load(const T* x) { return hn::LoadU(D(), x); }

  static HWY_INLINE void Store(hn::Vec<D> v, T* y, bool stream) {
    if (stream) {
      hn::Stream(v, D(), y);
    } else {
      hn::StoreU(v, D(), y);
    }
  }
};

template <class Format>
struct HalfType {
  using Storage = std::uint16_t;
  using Compute = float;
  using D = DF;
  using D16 = hn::Rebind<std::uint16_t, DF>;

  static HWY_INLINE VF Load(const std::uint16_t* x) {
    return Format::Widen(hn::PromoteTo(DU(), hn::LoadU(D16(), x)));
  }

  static HWY_INLINE void Store(VF v, std::uint16_t* y, bool stream) {
    const auto narrow = hn::TruncateTo(D16(), Format::Narrow(v));
    if (stream) {
      hn::Stream(narrow, D16(), y);
    } else {
      hn::StoreU(narrow, D16(), y);
    }
  }
};

using Float32Type = FloatType<float>;
using Float64Type = FloatType<double>;
using Float16Type = HalfType<Float16Format>;
using BFloat16Type = HalfType<BFloat16Format>;

// The vector's elements j, j + 1, ... of a group of 64 whose mask bits are the 8 bytes at `bits`,
// as a mask.
template <class Type>
HWY_INLINE hn::Mask<typename Type::D> GroupMask(const std::uint8_t* bits, std::size_t j) {
#if HWY_TARGET <= HWY_AVX3
  return hn::LoadMaskBits(typename Type::D(), bits + j / 8);  // Masks are bits there.
#else
  const hn::RebindToUnsigned<typename Type::D> du;
  using TBits = hn::TFromD<decltype(du)>;
  constexpr std::size_t kLaneBits = sizeof(TBits) * 8;
  std::uint64_t word;
  std::memcpy(&word, bits, sizeof(word));
  const auto lane_bit = hn::Shl(hn::Set(du, 1), hn::Iota(du, 0));
  const auto lanes = hn::Set(du, static_cast<TBits>(word >> (j - j % kLaneBits)));
  const auto shifted = hn::ShiftRightSame(lanes, static_cast<int>(j % kLaneBits));
  return hn::RebindMask(typename Type::D(), hn::TestBit(shifted, lane_bit));
#endif
}

template <class Type, class Group>
HWY_INLINE void MapGroup(const typename Type::Storage* x, const Group& group,
                         typename Type::Storage* y, bool stream) {
  const std::size_t lanes = hn::Lanes(typename Type::D());
  for (std::size_t j = 0; j < kGroup; j += lanes) {
    Type::Store(group.template Map<Type>(Type::Load(x + j), j), y + j, stream);
  }
}

// y[i] = f(x[i]) for i < n. `op.At(i)` gives the f of the 64 elements from i on (of fewer at the
// end), i a multiple of 64, as an object whose Map<Type>(v, j) maps the vector of the elements
// i + j, ... x and y: any alignment; the same place or apart.
template <class Type, class Op>
HWY_INLINE void ForEachGroup(const void* x_bytes, std::size_t n, void* y_bytes, Stores stores,
                             const Op& op) {
  using T = typename Type::Storage;
  const auto* x = static_cast<const T*>(x_bytes);
  auto* y = static_cast<T*>(y_bytes);
  // Streaming stores need aligned places, and vectors of 16 bytes or more: Highway rounds
  // smaller ones up, past their end. Anything else is stored as usual.
  const std::size_t vector_bytes = hn::Lanes(typename Type::D()) * sizeof(T);
  const bool stream = stores == Stores::kStreaming && vector_bytes >= 16 &&
                      reinterpret_cast<std::uintptr_t>(y) % vector_bytes == 0;
  std::size_t i = 0;
  for (; i + kGroup <= n; i += kGroup) {
    if (stream) {
      for (std::size_t b = 0; b < kGroup * sizeof(T); b += 64) {
        // Read once: nothing to keep in the caches. (Highway has no such hint.)
        __builtin_prefetch(reinterpret_cast<const char*>(x + i) + kPrefetchAhead + b, 0, 0);
      }
      MapGroup<Type>(x + i, op.At(i), y + i, true);
    } else {
      MapGroup<Type>(x + i, op.At(i), y + i, false);
    }
  }
  if (i < n) {
    T buffer[kGroup] = {};
    std::memcpy(buffer, x + i, (n - i) * sizeof(T));
    MapGroup<Type>(buffer, op.At(i), buffer, false);
    std::memcpy(y + i, buffer, (n - i) * sizeof(T));
  }
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard, toggled for each target
