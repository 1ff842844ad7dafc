#include "server/kernels/exact_sum.h"

#include <bit>
#include <cmath>
#include <limits>

namespace dropoutd::kernels {
namespace {

constexpr std::int64_t kLimbMask = 0xFFFFFFFF;
constexpr std::int64_t kMaxAdditions = std::int64_t{1} << 28;
constexpr int kUnitExponent = -1074;

}  // namespace

void ExactSum::Carry(Limbs& limbs) {
  for (std::size_t i = 0; i + 1 < kLimbs; ++i) {
    limbs[i + 1] += limbs[i] >> 32;
    limbs[i] &= kLimbMask;
  }
}

void ExactSum::CarryBeforeOverflow(std::int64_t additions) {
  if (additions_ + additions > kMaxAdditions) {
    Carry(limbs_);
    additions_ = 1;
  }
  additions_ += additions;
}

void ExactSum::Add(double value) {
  if (!std::isfinite(value)) {
    special_ += value;
    return;
  }
  CarryBeforeOverflow(1);
  // |value| = fraction * 2^exponent units, fraction below 2^53.
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto field = static_cast<int>(bits >> 52 & 0x7FF);
  std::uint64_t fraction = bits & ((std::uint64_t{1} << 52) - 1);
  if (field != 0) fraction |= std::uint64_t{1} << 52;
  const int exponent = field == 0 ? 0 : field - 1;
  const auto at = static_cast<std::size_t>(exponent / 32);
  const int shift = exponent % 32;
  const std::uint64_t low = (fraction & 0xFFFFFFFF) << shift;
  const std::uint64_t high = (fraction >> 32) << shift;
  const std::int64_t sign = std::signbit(value) ? -1 : 1;
  limbs_[at] += sign * static_cast<std::int64_t>(low & 0xFFFFFFFF);
  limbs_[at + 1] += sign * static_cast<std::int64_t>((low >> 32) + (high & 0xFFFFFFFF));
  limbs_[at + 2] += sign * static_cast<std::int64_t>(high >> 32);
}

void ExactSum::Add(const ExactSum& other) {
  CarryBeforeOverflow(other.additions_ + 1);
  for (std::size_t i = 0; i < kLimbs; ++i) limbs_[i] += other.limbs_[i];
  special_ += other.special_;
}

double ExactSum::Value() const {
  if (std::isnan(special_)) return std::numeric_limits<double>::quiet_NaN();
  if (special_ != 0) return special_;
  Limbs limbs = limbs_;
  Carry(limbs);
  const bool negative = limbs.back() < 0;
  if (negative) {
    for (std::int64_t& limb : limbs) limb = -limb;
    Carry(limbs);
  }
  std::size_t top = kLimbs - 1;
  while (top > 1 && limbs[top] == 0) --top;
  // The upper 64 bits; the lowest one says whether anything is below them. A conversion of
  // them rounds as the whole would, because it drops 11 bits.
  std::uint64_t upper =
      static_cast<std::uint64_t>(limbs[top]) << 32 | static_cast<std::uint64_t>(limbs[top - 1]);
  std::int64_t rest = 0;
  int exponent = static_cast<int>(top - 1) * 32 + kUnitExponent;
  if (top >= 2) {
    const int shift = std::countl_zero(upper);
    const auto next = static_cast<std::uint64_t>(limbs[top - 2]);
    upper <<= shift;
    upper |= next >> (32 - shift);
    rest = static_cast<std::int64_t>(next << shift) & kLimbMask;
    for (std::size_t i = 0; i + 2 < top; ++i) rest |= limbs[i];
    exponent -= shift;
  }
  if (rest != 0) upper |= 1;
  const double magnitude = std::ldexp(static_cast<double>(upper), exponent);
  return negative ? -magnitude : magnitude;
}

}  // namespace dropoutd::kernels
