#include "server/kernels/concrete.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/concrete.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/elementary-inl.h"
#include "server/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

using DD = hn::ScalableTag<double>;
using VD = hn::Vec<DD>;

constexpr std::size_t kLanes = hn::MaxLanes(DD());
constexpr std::size_t kPartialSums = 8;  // Element i of a group belongs to sum i mod 8.
static_assert(kPartialSums % kLanes == 0);

HWY_INLINE VD Drop(VD u, VD logit_p, VD temperature) {
  const DD d;
  const VD logit = hn::Sub(Log(d, u), Log(d, hn::Sub(hn::Set(d, 1.0), u)));
  return Sigmoid(d, hn::Div(hn::Add(logit_p, logit), temperature));
}

void ConcreteDrop(const double* u, std::size_t n, double logit_p, double temperature, double* z) {
  const DD d;
  const VD logit = hn::Set(d, logit_p);
  const VD t = hn::Set(d, temperature);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(Drop(hn::LoadU(d, u + i), logit, t), d, z + i);
  }
  if (i == n) return;
  HWY_ALIGN double last[kLanes];
  std::fill_n(last, kLanes, 0.5);
  std::copy(u + i, u + n, last);
  hn::Store(Drop(hn::Load(d, last), logit, t), d, last);
  std::copy(last, last + (n - i), z + i);
}

// A group's elements as float64; those past n are 0.
template <class Type>
HWY_INLINE void LoadGroup(const typename Type::Storage* x, std::size_t n, double* out) {
  typename Type::Storage copy[kGroup] = {};
  typename Type::Compute wide[kGroup];
  if (n < kGroup) {
    std::memcpy(copy, x, n * sizeof(copy[0]));
    x = copy;
  }
  const typename Type::D d;
  for (std::size_t i = 0; i < kGroup; i += hn::Lanes(d)) {
    hn::StoreU(Type::Load(x + i), d, wide + i);
  }
  for (std::size_t i = 0; i < kGroup; ++i) out[i] = wide[i];
}

HWY_INLINE double SumGroup(const double* x, const double* dy, const double* z,
                           const ConcreteWeight& weight) {
  const DD d;
  const VD a = hn::Set(d, weight.a);
  const VD b = hn::Set(d, weight.b);
  VD sums[kPartialSums / kLanes];
  for (VD& sum : sums) sum = hn::Zero(d);
  for (std::size_t i = 0; i < kGroup; i += kLanes) {
    const VD zi = hn::LoadU(d, z + i);
    const VD w = hn::Mul(hn::Sub(hn::Set(d, 1.0), zi), hn::Sub(a, hn::Mul(zi, b)));
    const VD product = hn::Mul(hn::Mul(hn::LoadU(d, dy + i), hn::LoadU(d, x + i)), w);
    VD& sum = sums[i % kPartialSums / kLanes];
    sum = hn::Add(sum, hn::IfThenZeroElse(hn::Eq(w, hn::Zero(d)), product));
  }
  double partial[kPartialSums];
  for (std::size_t i = 0; i < kPartialSums; i += kLanes) {
    hn::StoreU(sums[i / kLanes], d, partial + i);
  }
  for (std::size_t half = kPartialSums / 2; half != 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) partial[i] += partial[i + half];
  }
  return partial[0];
}

template <class Type>
HWY_INLINE void Gradient(const void* x_bytes, const void* dy_bytes, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum) {
  const auto* x = static_cast<const typename Type::Storage*>(x_bytes);
  const auto* dy = static_cast<const typename Type::Storage*>(dy_bytes);
  for (std::size_t i = 0; i < n; i += kGroup) {
    const std::size_t size = std::min(kGroup, n - i);
    double xs[kGroup], dys[kGroup], zs[kGroup];
    LoadGroup<Type>(x + i, size, xs);
    LoadGroup<Type>(dy + i, size, dys);
    std::fill_n(zs, kGroup, 1.0);  // Of weight 0.
    std::copy_n(z + i, size, zs);
    sum.Add(SumGroup(xs, dys, zs, w));
  }
}

void ConcreteGradientF32(const void* x, const void* dy, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum) {
  Gradient<Float32Type>(x, dy, z, n, w, sum);
}

void ConcreteGradientF64(const void* x, const void* dy, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum) {
  Gradient<Float64Type>(x, dy, z, n, w, sum);
}

void ConcreteGradientF16(const void* x, const void* dy, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum) {
  Gradient<Float16Type>(x, dy, z, n, w, sum);
}

void ConcreteGradientBF16(const void* x, const void* dy, const double* z, std::size_t n,
                          const ConcreteWeight& w, ExactSum& sum) {
  Gradient<BFloat16Type>(x, dy, z, n, w, sum);
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(ConcreteDrop);
HWY_EXPORT(ConcreteGradientF32);
HWY_EXPORT(ConcreteGradientF64);
HWY_EXPORT(ConcreteGradientF16);
HWY_EXPORT(ConcreteGradientBF16);

void ConcreteDrop(const double* u, std::size_t n, double logit_p, double temperature, double* z) {
  HWY_DYNAMIC_DISPATCH(ConcreteDrop)(u, n, logit_p, temperature, z);
}

void ConcreteGradientF32(const void* x, const void* dy, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum) {
  HWY_DYNAMIC_DISPATCH(ConcreteGradientF32)(x, dy, z, n, w, sum);
}

void ConcreteGradientF64(const void* x, const void* dy, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum) {
  HWY_DYNAMIC_DISPATCH(ConcreteGradientF64)(x, dy, z, n, w, sum);
}

void ConcreteGradientF16(const void* x, const void* dy, const double* z, std::size_t n,
                         const ConcreteWeight& w, ExactSum& sum) {
  HWY_DYNAMIC_DISPATCH(ConcreteGradientF16)(x, dy, z, n, w, sum);
}

void ConcreteGradientBF16(const void* x, const void* dy, const double* z, std::size_t n,
                          const ConcreteWeight& w, ExactSum& sum) {
  HWY_DYNAMIC_DISPATCH(ConcreteGradientBF16)(x, dy, z, n, w, sum);
}

}  // namespace dropoutd::kernels
#endif
