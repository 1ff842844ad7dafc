// What is done to an element whose bit is known, for ForEachGroup. Compiled once for each
// instruction set.
#if defined(DROPOUTD_SERVER_KERNELS_MASK_OPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DROPOUTD_SERVER_KERNELS_MASK_OPS_INL_H_
#undef DROPOUTD_SERVER_KERNELS_MASK_OPS_INL_H_
#else
#define DROPOUTD_SERVER_KERNELS_MASK_OPS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "server/kernels/affine_mask.h"
#include "server/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

// bit ? x * scale : +0
struct MaskedScaleOp {
  const std::uint8_t* bits;
  double scale;

  struct Group {
    const std::uint8_t* bits;
    double scale;

    template <class Type, class V>
    HWY_INLINE V Map(V x, std::size_t j) const {
      const auto factor = hn::Set(typename Type::D(), static_cast<typename Type::Compute>(scale));
      return hn::IfThenElseZero(GroupMask<Type>(bits, j), hn::Mul(x, factor));
    }
  };

  HWY_INLINE Group At(std::size_t i) const { return {bits + i / 8, scale}; }
};

struct MakeMaskedScale {
  double scale;
  HWY_INLINE MaskedScaleOp operator()(const std::uint8_t* bits) const { return {bits, scale}; }
};

// bit ? x * a + b : c
struct AffineMaskOp {
  const std::uint8_t* bits;
  Affine f;

  struct Group {
    const std::uint8_t* bits;
    Affine f;

    template <class Type, class V>
    HWY_INLINE V Map(V x, std::size_t j) const {
      const typename Type::D d;
      using T = typename Type::Compute;
      const auto a = hn::Set(d, static_cast<T>(f.a));
      const auto b = hn::Set(d, static_cast<T>(f.b));
      const auto c = hn::Set(d, static_cast<T>(f.c));
      return hn::IfThenElse(GroupMask<Type>(bits, j), hn::Add(hn::Mul(x, a), b), c);
    }
  };

  HWY_INLINE Group At(std::size_t i) const { return {bits + i / 8, f}; }
};

struct MakeAffineMask {
  Affine f;
  HWY_INLINE AffineMaskOp operator()(const std::uint8_t* bits) const { return {bits, f}; }
};

// Masks n elements with the (n + 7) / 8 bytes at `bits`; make_op is one of the makers above.
template <class Type, class MakeOp>
HWY_INLINE void MaskElements(const void* x_bytes, const std::uint8_t* bits, std::size_t n,
                             void* y_bytes, Stores stores, MakeOp make_op) {
  const auto* x = static_cast<const typename Type::Storage*>(x_bytes);
  auto* y = static_cast<typename Type::Storage*>(y_bytes);
  const std::size_t whole = n - n % kGroup;
  ForEachGroup<Type>(x, whole, y, stores, make_op(bits));
  if (whole == n) return;
  std::uint8_t last[kGroup / 8] = {};
  std::memcpy(last, bits + whole / 8, (n - whole + 7) / 8);
  ForEachGroup<Type>(x + whole, n - whole, y + whole, stores, make_op(last));
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard, toggled for each target
