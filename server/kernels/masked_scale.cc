#include "server/kernels/masked_scale.h"

#include <cstddef>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/masked_scale.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

struct MaskedScaleOp {
  const std::uint8_t* bits;
  double scale;

  struct Group {
    std::uint64_t word;
    double scale;

    template <class Type, class V>
    HWY_INLINE V Map(V x, std::size_t j) const {
      const auto factor = hn::Set(typename Type::D(), static_cast<typename Type::Compute>(scale));
      return hn::IfThenElseZero(GroupMask<Type>(word, j), hn::Mul(x, factor));
    }
  };

  HWY_INLINE Group At(std::size_t i, std::size_t size) const {
    return {LoadWord(bits, i, size), scale};
  }
};

void MaskedScaleF32(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  ForEachGroup<Float32Type>(x, n, y, stores, MaskedScaleOp{bits, scale});
}

void MaskedScaleF64(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  ForEachGroup<Float64Type>(x, n, y, stores, MaskedScaleOp{bits, scale});
}

void MaskedScaleF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  ForEachGroup<Float16Type>(x, n, y, stores, MaskedScaleOp{bits, scale});
}

void MaskedScaleBF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                     Stores stores) {
  ForEachGroup<BFloat16Type>(x, n, y, stores, MaskedScaleOp{bits, scale});
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(MaskedScaleF32);
HWY_EXPORT(MaskedScaleF64);
HWY_EXPORT(MaskedScaleF16);
HWY_EXPORT(MaskedScaleBF16);

void MaskedScaleF32(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleF32)(x, bits, n, scale, y, stores);
}

void MaskedScaleF64(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleF64)(x, bits, n, scale, y, stores);
}

void MaskedScaleF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleF16)(x, bits, n, scale, y, stores);
}

void MaskedScaleBF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                     Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleBF16)(x, bits, n, scale, y, stores);
}

}  // namespace dropoutd::kernels
#endif
