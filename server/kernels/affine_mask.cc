#include "server/kernels/affine_mask.h"

#include <cstddef>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/affine_mask.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

struct AffineMaskOp {
  const std::uint8_t* bits;
  Affine f;

  struct Group {
    std::uint64_t word;
    Affine f;

    template <class Type, class V>
    HWY_INLINE V Map(V x, std::size_t j) const {
      const typename Type::D d;
      using T = typename Type::Compute;
      const auto a = hn::Set(d, static_cast<T>(f.a));
      const auto b = hn::Set(d, static_cast<T>(f.b));
      const auto c = hn::Set(d, static_cast<T>(f.c));
      return hn::IfThenElse(GroupMask<Type>(word, j), hn::Add(hn::Mul(x, a), b), c);
    }
  };

  HWY_INLINE Group At(std::size_t i, std::size_t size) const {
    return {LoadWord(bits, i, size), f};
  }
};

void AffineMaskF32(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  ForEachGroup<Float32Type>(x, n, y, stores, AffineMaskOp{bits, f});
}

void AffineMaskF64(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  ForEachGroup<Float64Type>(x, n, y, stores, AffineMaskOp{bits, f});
}

void AffineMaskF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  ForEachGroup<Float16Type>(x, n, y, stores, AffineMaskOp{bits, f});
}

void AffineMaskBF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f,
                    void* y, Stores stores) {
  ForEachGroup<BFloat16Type>(x, n, y, stores, AffineMaskOp{bits, f});
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(AffineMaskF32);
HWY_EXPORT(AffineMaskF64);
HWY_EXPORT(AffineMaskF16);
HWY_EXPORT(AffineMaskBF16);

void AffineMaskF32(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  HWY_DYNAMIC_DISPATCH(AffineMaskF32)(x, bits, n, f, y, stores);
}

void AffineMaskF64(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  HWY_DYNAMIC_DISPATCH(AffineMaskF64)(x, bits, n, f, y, stores);
}

void AffineMaskF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  HWY_DYNAMIC_DISPATCH(AffineMaskF16)(x, bits, n, f, y, stores);
}

void AffineMaskBF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f,
                    void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(AffineMaskBF16)(x, bits, n, f, y, stores);
}

}  // namespace dropoutd::kernels
#endif
