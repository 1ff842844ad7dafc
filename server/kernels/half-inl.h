// 16-bit floating-point types to and from float32 vectors, compiled once for each
// instruction set. Rounding is to nearest, ties to even; a NaN stays a quiet NaN with the
// upper bits of its payload, as the conversion instructions of x86 and Arm do.
#if defined(DROPOUTD_SERVER_KERNELS_HALF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DROPOUTD_SERVER_KERNELS_HALF_INL_H_
#undef DROPOUTD_SERVER_KERNELS_HALF_INL_H_
#else
#define DROPOUTD_SERVER_KERNELS_HALF_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DU = hn::RebindToUnsigned<DF>;
using VF = hn::Vec<DF>;
using VU = hn::Vec<DU>;

// A format gives Widen(bits in the lower half of each lane) -> float32 and Narrow back.
struct BFloat16Format {
  static HWY_INLINE VF Widen(VU h) { return hn::BitCast(DF(), hn::ShiftLeft<16>(h)); }

  static HWY_INLINE VU Narrow(VF f) {
    const DU du;
    const VU u = hn::BitCast(du, f);
    const VU upper = hn::ShiftRight<16>(u);
    const VU odd = hn::And(upper, hn::Set(du, 1));
    const VU rounded = hn::ShiftRight<16>(hn::Add(u, hn::Add(odd, hn::Set(du, 0x7FFF))));
    const VU quiet = hn::Or(upper, hn::Set(du, 0x0040));
    return hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(f)), quiet, rounded);
  }
};

// Integer arithmetic, because Highway's own conversions are not exact for every value on
// targets without conversion instructions.
struct Float16Format {
  static HWY_INLINE VF Widen(VU h) {
    const DU du;
    const DF df;
    const VU magnitude = hn::ShiftLeft<13>(hn::And(h, hn::Set(du, 0x7FFF)));
    const VU sign = hn::ShiftLeft<16>(hn::And(h, hn::Set(du, 0x8000)));
    // Times 2^112 moves the exponent's bias, and makes subnormals normal.
    const VF finite = hn::Mul(hn::BitCast(df, magnitude), hn::Set(df, 0x1p112f));
    const VU special = hn::Or(magnitude, hn::Set(du, 0x7F800000));
    const auto is_special = hn::Gt(magnitude, hn::Set(du, (0x7C00u << 13) - 1));
    return hn::BitCast(df,
                       hn::Or(sign, hn::IfThenElse(is_special, special, hn::BitCast(du, finite))));
  }

  static HWY_INLINE VU Narrow(VF f) {
    const DU du;
    const DF df;
    const VU u = hn::BitCast(du, f);
    const VU sign = hn::And(u, hn::Set(du, 0x80000000u));
    const VU a = hn::Xor(u, sign);
    // Normal range: round at bit 13 and move the bias; a carry may reach infinity.
    const VU odd = hn::And(hn::ShiftRight<13>(a), hn::Set(du, 1));
    const VU rebias = hn::Set(du, 0u - ((127u - 15u) << 23) + 0xFFFu);
    const VU normal = hn::ShiftRight<13>(hn::Add(a, hn::Add(rebias, odd)));
    // Below 2^-14: adding 0.5 leaves the subnormal's bits, rounded, at the bottom.
    const VF half = hn::Set(df, 0.5f);
    const VU subnormal =
        hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(df, a), half)), hn::BitCast(du, half));
    const VU infinity = hn::Set(du, 0x7C00);
    const VU nan = hn::Or(hn::Set(du, 0x7E00), hn::And(hn::ShiftRight<13>(a), hn::Set(du, 0x3FF)));
    VU r = hn::IfThenElse(hn::Gt(hn::Set(du, 0x38800000), a), subnormal, normal);
    r = hn::IfThenElse(hn::Gt(a, hn::Set(du, 0x477FFFFF)), infinity, r);
    r = hn::IfThenElse(hn::Gt(a, hn::Set(du, 0x7F800000)), nan, r);
    return hn::Or(r, hn::ShiftRight<16>(sign));
  }
};

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard, toggled for each target
