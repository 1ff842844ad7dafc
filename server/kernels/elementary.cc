#include "server/kernels/elementary.h"

#include <cmath>
#include <limits>

#include "server/kernels/elementary-inl.h"

// One lane of the set that every machine has: the bits do not depend on the set.
HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

using One = hn::CappedTag<double, 1>;

double LogOfNormal(double x) { return hn::GetLane(Log(One(), hn::Set(One(), x))); }

double ExpOfNumber(double x) { return hn::GetLane(Exp(One(), hn::Set(One(), x))); }

double SigmoidOfNumber(double v) { return hn::GetLane(Sigmoid(One(), hn::Set(One(), v))); }

double CosTurns(double u) {
  auto sin = hn::Zero(One());
  auto cos = sin;
  SinCosTurns(One(), hn::Set(One(), u), sin, cos);
  return hn::GetLane(cos);
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

namespace dropoutd::kernels {

double Log(double x) {
  if (std::isnan(x) || x < 0) return std::numeric_limits<double>::quiet_NaN();
  if (x == 0) return -std::numeric_limits<double>::infinity();
  if (std::isinf(x)) return x;
  if (x < std::numeric_limits<double>::min()) {
    // The logarithm is far from 0, so that the sum is as exact as its terms.
    return HWY_STATIC_DISPATCH(LogOfNormal)(x * 0x1p54) - 54 * 0x1.62e42fefa39efp-1;
  }
  return HWY_STATIC_DISPATCH(LogOfNormal)(x);
}

double Exp(double x) { return std::isnan(x) ? x : HWY_STATIC_DISPATCH(ExpOfNumber)(x); }

double CosPi(double x) {
  if (!(std::fabs(x) <= 0x1p50)) return std::numeric_limits<double>::quiet_NaN();
  return HWY_STATIC_DISPATCH(CosTurns)(x * 0.5);
}

double Sigmoid(double v) { return std::isnan(v) ? v : HWY_STATIC_DISPATCH(SigmoidOfNumber)(v); }

}  // namespace dropoutd::kernels
