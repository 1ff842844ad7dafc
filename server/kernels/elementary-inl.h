// log, exp, sin and cos on float64 vectors, compiled once for each instruction set.
//
// Only operations that IEEE 754 rounds correctly (add, subtract, multiply, divide), in one
// fixed order and never fused, so that every instruction set gives the same bits, which are
// part of docs/mask-format.md, section 5. Coefficients are those of the Taylor series; the
// arguments are reduced first, by the identities that each function names.
#if defined(DROPOUTD_SERVER_KERNELS_ELEMENTARY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DROPOUTD_SERVER_KERNELS_ELEMENTARY_INL_H_
#undef DROPOUTD_SERVER_KERNELS_ELEMENTARY_INL_H_
#else
#define DROPOUTD_SERVER_KERNELS_ELEMENTARY_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "server/kernels/elementary_constants.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// c[0] + x (c[1] + x (c[2] + ...)).
template <class D, std::size_t kSize>
HWY_INLINE hn::Vec<D> Horner(D d, hn::Vec<D> x, const double (&c)[kSize]) {
  auto sum = hn::Set(d, c[kSize - 1]);
  for (std::size_t i = kSize - 1; i-- > 0;) {
    sum = hn::Add(hn::Mul(sum, x), hn::Set(d, c[i]));
  }
  return sum;
}

// 2^k for -1022 <= k <= 1023, from k + kToInteger, whose lowest bits are k.
template <class D>
HWY_INLINE hn::Vec<D> PowerOfTwo(D d, hn::Vec<D> k_to_integer) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::Add(hn::BitCast(du, k_to_integer), hn::Set(du, 1023));
  return hn::BitCast(d, hn::ShiftLeft<52>(bits));
}

// x is positive, normal and finite. x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2));
// log(1 + f) = 2 artanh(s), s = f / (2 + f).
template <class D>
HWY_INLINE hn::Vec<D> Log(D d, hn::Vec<D> x) {
  const hn::RebindToUnsigned<D> du;
  const auto root_bits = hn::Set(du, elementary::kSqrtHalfBits);
  const auto one_bits = hn::Set(du, elementary::kOneBits);
  // The exponent that x has when it is measured from sqrt(1/2) instead of 1.
  const auto moved = hn::Add(hn::BitCast(du, x), hn::Sub(one_bits, root_bits));
  const auto biased = hn::Or(hn::ShiftRight<52>(moved), hn::Set(du, elementary::kTwo52Bits));
  const auto k = hn::Sub(hn::BitCast(d, biased), hn::Set(d, 0x1p52 + 1023));
  const auto fraction = hn::And(moved, hn::Set(du, elementary::kFractionMask));
  const auto f = hn::Sub(hn::BitCast(d, hn::Add(fraction, root_bits)), hn::Set(d, 1.0));

  const auto s = hn::Div(f, hn::Add(hn::Set(d, 2.0), f));
  const auto z = hn::Mul(s, s);
  const auto r = hn::Mul(z, Horner(d, z, elementary::kLog));
  const auto h = hn::Mul(hn::Mul(hn::Set(d, 0.5), f), f);
  const auto low = hn::Add(hn::Mul(s, hn::Add(h, r)), hn::Mul(k, hn::Set(d, elementary::kLn2Low)));
  const auto high = hn::Mul(k, hn::Set(d, elementary::kLn2High));
  return hn::Sub(high, hn::Sub(hn::Sub(h, low), f));
}

// x is not a NaN. exp(x) = 2^k exp(r), k the integer nearest to x / ln 2; 2^k in two
// factors, because k may leave the range of exponents.
template <class D>
HWY_INLINE hn::Vec<D> Exp(D d, hn::Vec<D> x) {
  const auto to_integer = hn::Set(d, elementary::kToInteger);
  // Beyond these the result is infinite or 0 anyway.
  x = hn::Max(hn::Min(x, hn::Set(d, 710.0)), hn::Set(d, -746.0));
  const auto k =
      hn::Sub(hn::Add(hn::Mul(x, hn::Set(d, elementary::kLog2E)), to_integer), to_integer);
  auto r = hn::Sub(x, hn::Mul(k, hn::Set(d, elementary::kLn2High)));
  r = hn::Sub(r, hn::Mul(k, hn::Set(d, elementary::kLn2Low)));
  const auto tail = hn::Mul(hn::Mul(r, r), Horner(d, r, elementary::kExp));
  const auto e = hn::Add(hn::Set(d, 1.0), hn::Add(r, tail));
  const auto half = hn::Add(hn::Mul(k, hn::Set(d, 0.5)), to_integer);
  const auto other = hn::Add(hn::Sub(k, hn::Sub(half, to_integer)), to_integer);
  return hn::Mul(hn::Mul(e, PowerOfTwo(d, half)), PowerOfTwo(d, other));
}

// sin and cos of 2 pi u, |u| <= 2^49: k the quarter turns nearest to u, and a rest of at
// most an eighth of a turn.
template <class D>
HWY_INLINE void SinCosTurns(D d, hn::Vec<D> u, hn::Vec<D>& sin, hn::Vec<D>& cos) {
  const hn::RebindToUnsigned<D> du;
  const auto to_integer = hn::Set(d, elementary::kToInteger);
  const auto k_to_integer = hn::Add(hn::Mul(u, hn::Set(d, 4.0)), to_integer);
  const auto k = hn::Sub(k_to_integer, to_integer);
  const auto rest = hn::Sub(u, hn::Mul(k, hn::Set(d, 0.25)));
  const auto a = hn::Mul(rest, hn::Set(d, elementary::kTwoPi));
  const auto z = hn::Mul(a, a);
  const auto s = hn::Add(a, hn::Mul(hn::Mul(a, z), Horner(d, z, elementary::kSin)));
  const auto c = hn::Add(hn::Set(d, 1.0), hn::Mul(z, Horner(d, z, elementary::kCos)));

  // k mod 4: 0 (s, c), 1 (c, -s), 2 (-s, -c), 3 (-c, s).
  const auto quarter = hn::BitCast(du, k_to_integer);
  const auto odd = hn::RebindMask(d, hn::TestBit(quarter, hn::Set(du, 1)));
  const auto sin_sign = hn::ShiftLeft<62>(hn::And(quarter, hn::Set(du, 2)));
  const auto next = hn::Add(quarter, hn::Set(du, 1));
  const auto cos_sign = hn::ShiftLeft<62>(hn::And(next, hn::Set(du, 2)));
  sin = hn::Xor(hn::IfThenElse(odd, c, s), hn::BitCast(d, sin_sign));
  cos = hn::Xor(hn::IfThenElse(odd, s, c), hn::BitCast(d, cos_sign));
}

// 1 / (1 + exp(-v)); v is not a NaN.
template <class D>
HWY_INLINE hn::Vec<D> Sigmoid(D d, hn::Vec<D> v) {
  const auto one = hn::Set(d, 1.0);
  return hn::Div(one, hn::Add(one, Exp(d, hn::Neg(v))));
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard, toggled for each target
