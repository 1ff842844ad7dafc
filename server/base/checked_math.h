// Arithmetic on sizes that come from outside.
#ifndef DROPOUTD_SERVER_BASE_CHECKED_MATH_H_
#define DROPOUTD_SERVER_BASE_CHECKED_MATH_H_

#include <cstdint>
#include <optional>

namespace dropoutd {

// a * b for a, b >= 0, or nothing where it does not fit an int64.
constexpr std::optional<std::int64_t> CheckedMultiply(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_CHECKED_MATH_H_
