#include "client/cli/elements.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"

namespace dropout::cli {
namespace {

template <typename T>
T Load(const Tensor& tensor, std::size_t index) {
  T value;
  std::memcpy(&value, tensor.data.data() + index * sizeof(T), sizeof(T));
  return value;
}

double Float16Value(std::uint16_t bits) {
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  if (exponent == 31) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

double BFloat16Value(std::uint16_t bits) {
  const std::uint32_t wide = std::uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

double HalfWidthValue(DataType dtype, std::uint16_t bits) {
  return dtype == DataType::kFloat16 ? Float16Value(bits) : BFloat16Value(bits);
}

// The shortest decimal number strictly between the midpoints to the two neighbours.
double ReadableHalfWidth(DataType dtype, std::uint16_t bits) {
  const double value = HalfWidthValue(dtype, bits);
  if (!std::isfinite(value) || value == 0) return value;
  const double below = HalfWidthValue(dtype, static_cast<std::uint16_t>(bits - 1));
  const double above = HalfWidthValue(dtype, static_cast<std::uint16_t>(bits + 1));
  const double reach = std::isfinite(above)
                           ? std::fmin(std::fabs(value - below) / 2, std::fabs(above - value) / 2)
                           : std::fabs(value - below) / 2;
  constexpr int kExactDigits = 17;
  for (int digits = 1; digits < kExactDigits; ++digits) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.*e", digits - 1, value);
    const double decimal = std::strtod(text, nullptr);
    if (std::fabs(decimal - value) < reach) return decimal;
  }
  return value;
}

double ReadableFloat32(float value) {
  if (!std::isfinite(value)) return value;
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value);
  double decimal = 0;
  std::from_chars(text, end.ptr, decimal);
  return decimal;
}

}  // namespace

std::optional<std::size_t> ElementCount(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  bool empty = false;
  bool overflow = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) empty = true;
    overflow = overflow || __builtin_mul_overflow(count, size, &count);
  }
  if (empty) return 0;
  if (overflow) return std::nullopt;
  return static_cast<std::size_t>(count);
}

absl::Status CheckTensor(const Tensor& tensor) {
  const std::size_t element_size = ElementSize(tensor.dtype);
  const auto count = ElementCount(tensor.shape);
  if (element_size == 0 || !count.has_value() || tensor.data.size() % element_size != 0 ||
      tensor.data.size() / element_size != *count) {
    return absl::DataLossError(absl::StrCat(
        "the server sent a tensor whose shape does not match its ", tensor.data.size(), " bytes"));
  }
  return absl::OkStatus();
}

absl::Status CheckMask(const Mask& mask) {
  if (mask.multipliers.has_value()) return CheckTensor(*mask.multipliers);
  const auto count = ElementCount(mask.shape);
  if (!count.has_value() || mask.bits.size() != (*count + 7) / 8) {
    return absl::DataLossError(absl::StrCat(
        "the server sent a mask whose shape does not match its ", mask.bits.size(), " bytes"));
  }
  return absl::OkStatus();
}

double ElementAt(const Tensor& tensor, std::size_t index) {
  switch (tensor.dtype) {
    case DataType::kFloat32:
      return Load<float>(tensor, index);
    case DataType::kFloat64:
      return Load<double>(tensor, index);
    case DataType::kFloat16:
    case DataType::kBFloat16:
      return HalfWidthValue(tensor.dtype, Load<std::uint16_t>(tensor, index));
    case DataType::kUnspecified:
      break;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

double ReadableElementAt(const Tensor& tensor, std::size_t index) {
  switch (tensor.dtype) {
    case DataType::kFloat32:
      return ReadableFloat32(Load<float>(tensor, index));
    case DataType::kFloat16:
    case DataType::kBFloat16:
      return ReadableHalfWidth(tensor.dtype, Load<std::uint16_t>(tensor, index));
    default:
      return ElementAt(tensor, index);
  }
}

}  // namespace dropout::cli
