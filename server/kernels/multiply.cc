#include "server/kernels/multiply.h"

#include <cstddef>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/multiply.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

// `Type::D` lanes of multipliers, rounded once to the compute type.
template <class D>
HWY_INLINE hn::Vec<D> LoadMultipliers(D d, const double* m) {
  if constexpr (sizeof(hn::TFromD<D>) == sizeof(double)) {
    return hn::LoadU(d, m);
  } else {
    const hn::Half<D> half;
    const hn::Rebind<double, decltype(half)> dd;
    const auto low = hn::DemoteTo(half, hn::LoadU(dd, m));
    const auto high = hn::DemoteTo(half, hn::LoadU(dd, m + hn::Lanes(dd)));
    return hn::Combine(d, high, low);
  }
}

struct MultiplyOp {
  const double* m;

  struct Group {
    const double* m;

    template <class Type, class V>
    HWY_INLINE V Map(V x, std::size_t j) const {
      const typename Type::D d;
      const auto factor = LoadMultipliers(d, m + j);
      return hn::IfThenZeroElse(hn::Eq(factor, hn::Zero(d)), hn::Mul(x, factor));
    }
  };

  HWY_INLINE Group At(std::size_t i) const { return {m + i}; }
};

template <class Type>
HWY_INLINE void Multiply(const void* x_bytes, const double* m, std::size_t n, void* y_bytes,
                         Stores stores) {
  const auto* x = static_cast<const typename Type::Storage*>(x_bytes);
  auto* y = static_cast<typename Type::Storage*>(y_bytes);
  const std::size_t whole = n - n % kGroup;
  ForEachGroup<Type>(x, whole, y, stores, MultiplyOp{m});
  if (whole == n) return;
  double last[kGroup] = {};
  std::memcpy(last, m + whole, (n - whole) * sizeof(double));
  ForEachGroup<Type>(x + whole, n - whole, y + whole, stores, MultiplyOp{last});
}

void MultiplyF32(const void* x, const double* m, std::size_t n, void* y, Stores stores) {
  Multiply<Float32Type>(x, m, n, y, stores);
}

void MultiplyF64(const void* x, const double* m, std::size_t n, void* y, Stores stores) {
  Multiply<Float64Type>(x, m, n, y, stores);
}

void MultiplyF16(const void* x, const double* m, std::size_t n, void* y, Stores stores) {
  Multiply<Float16Type>(x, m, n, y, stores);
}

void MultiplyBF16(const void* x, const double* m, std::size_t n, void* y, Stores stores) {
  Multiply<BFloat16Type>(x, m, n, y, stores);
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(MultiplyF32);
HWY_EXPORT(MultiplyF64);
HWY_EXPORT(MultiplyF16);
HWY_EXPORT(MultiplyBF16);

void MultiplyF32(const void* x, const double* m, std::size_t n, void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(MultiplyF32)(x, m, n, y, stores);
}

void MultiplyF64(const void* x, const double* m, std::size_t n, void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(MultiplyF64)(x, m, n, y, stores);
}

void MultiplyF16(const void* x, const double* m, std::size_t n, void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(MultiplyF16)(x, m, n, y, stores);
}

void MultiplyBF16(const void* x, const double* m, std::size_t n, void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(MultiplyBF16)(x, m, n, y, stores);
}

}  // namespace dropoutd::kernels
#endif
