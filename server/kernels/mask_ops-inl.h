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

// kept ? x * scale : +0
struct ScaleKept {
  double scale;

  template <class Type, class M, class V>
  HWY_INLINE V Map(M kept, V x) const {
    const auto factor = hn::Set(typename Type::D(), static_cast<typename Type::Compute>(scale));
    return hn::IfThenElseZero(kept, hn::Mul(x, factor));
  }
};

// kept ? x * a + b : c
struct AffineKept {
  Affine f;

  template <class Type, class M, class V>
  HWY_INLINE V Map(M kept, V x) const {
    const typename Type::D d;
    using T = typename Type::Compute;
    const auto a = hn::Set(d, static_cast<T>(f.a));
    const auto b = hn::Set(d, static_cast<T>(f.b));
    const auto c = hn::Set(d, static_cast<T>(f.c));
    return hn::IfThenElse(kept, hn::Add(hn::Mul(x, a), b), c);
  }
};

// One of the rules above for the elements whose bits begin at `bits`.
template <class Rule>
struct MaskOp {
  const std::uint8_t* bits;
  Rule rule;

  HWY_INLINE MaskOp At(std::size_t i) const { return {bits + i / 8, rule}; }

  template <class Type, class V>
  HWY_INLINE V Map(V x, std::size_t j) const {
    return rule.template Map<Type>(GroupMask<Type>(bits, j), x);
  }
};

// Masks n elements by a rule and the (n + 7) / 8 bytes at `bits`.
template <class Type, class Rule>
HWY_INLINE void MaskElements(const void* x_bytes, const std::uint8_t* bits, std::size_t n,
                             void* y_bytes, Stores stores, const Rule& rule) {
  const auto* x = static_cast<const typename Type::Storage*>(x_bytes);
  auto* y = static_cast<typename Type::Storage*>(y_bytes);
  const std::size_t whole = n - n % kGroup;
  ForEachGroup<Type>(x, whole, y, stores, MaskOp<Rule>{bits, rule});
  if (whole == n) return;
  std::uint8_t last[kGroup / 8] = {};
  std::memcpy(last, bits + whole / 8, (n - whole + 7) / 8);
  ForEachGroup<Type>(x + whole, n - whole, y + whole, stores, MaskOp<Rule>{last, rule});
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard, toggled for each target
