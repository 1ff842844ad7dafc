#include "tests/kernels/naive.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "server/random/philox.h"

namespace dropoutd::naive {
namespace {

PhiloxBlock Draw(const kernels::BernoulliStream& stream, std::uint64_t counter,
                 std::uint32_t domain) {
  return Philox4x32({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                     stream.counter2, domain},
                    {stream.key[0], stream.key[1]});
}

// A binary format of 16 bits with `precision` significant bits, the hidden one included.
struct Format {
  int precision;
  int min_exponent;  // Of the smallest normal number.
  int max_exponent;
};
constexpr Format kFloat16 = {11, -14, 15};
constexpr Format kBFloat16 = {8, -126, 127};

int ExponentField(const Format& format, std::uint16_t bits) {
  return (bits & 0x7FFF) >> (format.precision - 1);
}

double Decode(const Format& format, std::uint16_t bits) {
  const int fraction_bits = format.precision - 1;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const int field = ExponentField(format, bits);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (field == format.max_exponent - format.min_exponent + 2) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  if (field == 0) return sign * std::ldexp(fraction, format.min_exponent - fraction_bits);
  return sign * std::ldexp(fraction + (1 << fraction_bits),
                           field - 1 + format.min_exponent - fraction_bits);
}

std::uint16_t Encode(const Format& format, float value) {
  const int fraction_bits = format.precision - 1;
  const int sign = std::signbit(value) ? 0x8000 : 0;
  const int infinity = (format.max_exponent - format.min_exponent + 2) << fraction_bits;
  const double magnitude = std::fabs(value);
  if (std::isinf(magnitude)) return static_cast<std::uint16_t>(sign | infinity);
  if (magnitude == 0) return static_cast<std::uint16_t>(sign);
  // The distance of neighbours at this magnitude; nearbyint rounds ties to even.
  int exponent = std::max(std::ilogb(magnitude), format.min_exponent);
  double units = std::nearbyint(std::ldexp(magnitude, fraction_bits - exponent));
  if (units == std::ldexp(1.0, format.precision)) {
    units /= 2;
    ++exponent;
  }
  if (exponent > format.max_exponent) return static_cast<std::uint16_t>(sign | infinity);
  // Normal numbers count their hidden bit, which is one exponent step.
  const int field = exponent - format.min_exponent;
  return static_cast<std::uint16_t>(sign | ((field << fraction_bits) + static_cast<int>(units)));
}

std::uint64_t QuietBit(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return 0x00400000;
    case DataType::kFloat64:
      return 0x0008000000000000;
    case DataType::kFloat16:
      return 0x0200;
    case DataType::kBFloat16:
      return 0x0040;
  }
  return 0;
}

// f of the element with the bits `x` in the compute type, rounded to the element type; a NaN
// stays the same NaN, quiet.
template <typename F>
std::uint64_t MapElement(DataType dtype, std::uint64_t x, F f) {
  const double value = Value(dtype, x);
  if (std::isnan(value)) return x | QuietBit(dtype);
  if (dtype == DataType::kFloat64) return std::bit_cast<std::uint64_t>(f(value));
  const float y = f(static_cast<float>(value));
  switch (dtype) {
    case DataType::kFloat16:
      return ToFloat16(y);
    case DataType::kBFloat16:
      return ToBFloat16(y);
    default:
      return std::bit_cast<std::uint32_t>(y);
  }
}

}  // namespace

const char* Name(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return "FLOAT32";
    case DataType::kFloat64:
      return "FLOAT64";
    case DataType::kFloat16:
      return "FLOAT16";
    case DataType::kBFloat16:
      return "BFLOAT16";
  }
  return "";
}

std::uint8_t RandomByte(const kernels::BernoulliStream& stream, std::uint64_t index) {
  const PhiloxBlock block = Draw(stream, index / 16, 0);
  const std::uint64_t i = index % 16;
  return static_cast<std::uint8_t>(block[i / 4] >> (8 * (i % 4)));
}

std::uint64_t TieBits(const kernels::BernoulliStream& stream, std::uint64_t index) {
  const PhiloxBlock block = Draw(stream, index, 1);
  return block[0] + (std::uint64_t{block[1]} << 32);
}

bool IsKept(const kernels::BernoulliStream& stream, std::uint64_t index) {
  const std::uint64_t top = stream.threshold >> 56;
  const std::uint64_t rest = stream.threshold << 8;
  const std::uint8_t byte = RandomByte(stream, index);
  return byte == top ? TieBits(stream, index) >= rest : byte > top;
}

std::vector<std::uint8_t> Pack(const std::vector<bool>& bits) {
  std::vector<std::uint8_t> packed((bits.size() + 7) / 8);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (bits[i]) packed[i / 8] = static_cast<std::uint8_t>(packed[i / 8] | 1u << (i % 8));
  }
  return packed;
}

bool Bit(const std::vector<std::uint8_t>& packed, std::size_t at) {
  return (packed[at / 8] >> (at % 8) & 1) != 0;
}

std::vector<std::uint8_t> BernoulliBits(const kernels::BernoulliStream& stream, std::uint64_t first,
                                        std::size_t count) {
  std::vector<bool> bits(count);
  for (std::size_t i = 0; i < count; ++i) bits[i] = IsKept(stream, first + i);
  return Pack(bits);
}

double FromFloat16(std::uint16_t bits) { return Decode(kFloat16, bits); }
double FromBFloat16(std::uint16_t bits) { return Decode(kBFloat16, bits); }
std::uint16_t ToFloat16(float value) { return Encode(kFloat16, value); }
std::uint16_t ToBFloat16(float value) { return Encode(kBFloat16, value); }

double Value(DataType dtype, std::uint64_t bits) {
  switch (dtype) {
    case DataType::kFloat32:
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    case DataType::kFloat64:
      return std::bit_cast<double>(bits);
    case DataType::kFloat16:
      return FromFloat16(static_cast<std::uint16_t>(bits));
    case DataType::kBFloat16:
      return FromBFloat16(static_cast<std::uint16_t>(bits));
  }
  return 0;
}

std::uint64_t ScaleElement(DataType dtype, std::uint64_t x, double scale) {
  return MapElement(dtype, x, [&](auto v) { return v * static_cast<decltype(v)>(scale); });
}

std::uint64_t AffineElement(DataType dtype, std::uint64_t x, double a, double b) {
  return MapElement(dtype, x, [&](auto v) {
    using T = decltype(v);
    const T product = v * static_cast<T>(a);
    return static_cast<T>(product + static_cast<T>(b));
  });
}

std::uint64_t LoadElement(DataType dtype, const std::uint8_t* data, std::size_t i) {
  const auto size = static_cast<std::size_t>(ElementSize(dtype));
  std::uint64_t bits = 0;
  std::memcpy(&bits, data + i * size, size);
  return bits;
}

void StoreElement(DataType dtype, std::uint64_t bits, std::uint8_t* data, std::size_t i) {
  const auto size = static_cast<std::size_t>(ElementSize(dtype));
  std::memcpy(data + i * size, &bits, size);
}

std::vector<std::uint8_t> MaskedScale(DataType dtype, const std::vector<std::uint8_t>& x,
                                      const std::vector<std::uint8_t>& bits, double scale) {
  std::vector<std::uint8_t> y(x.size());
  for (std::size_t i = 0; i < x.size() / static_cast<std::size_t>(ElementSize(dtype)); ++i) {
    if (!Bit(bits, i)) continue;  // y is +0.
    StoreElement(dtype, ScaleElement(dtype, LoadElement(dtype, x.data(), i), scale), y.data(), i);
  }
  return y;
}

void CallKernel(DataType dtype, const void* x, const std::uint8_t* bits, std::size_t n,
                double scale, void* y, kernels::Stores stores) {
  switch (dtype) {
    case DataType::kFloat32:
      return kernels::MaskedScaleF32(x, bits, n, scale, y, stores);
    case DataType::kFloat64:
      return kernels::MaskedScaleF64(x, bits, n, scale, y, stores);
    case DataType::kFloat16:
      return kernels::MaskedScaleF16(x, bits, n, scale, y, stores);
    case DataType::kBFloat16:
      return kernels::MaskedScaleBF16(x, bits, n, scale, y, stores);
  }
}

std::vector<std::uint8_t> RandomBytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<std::uint8_t> bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(engine() >> 56);
  return bytes;
}

}  // namespace dropoutd::naive
