// Naive twins of the kernels: one element at a time, arithmetic instead of bit tricks, as
// docs/mask-format.md words it. Pure functions.
#ifndef DROPOUTD_TESTS_KERNELS_NAIVE_H_
#define DROPOUTD_TESTS_KERNELS_NAIVE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/dropout/data_type.h"
#include "server/kernels/bernoulli_bits.h"
#include "server/kernels/masked_scale.h"

namespace dropoutd::naive {

// Sanitizers make the twins slow: exhaustive loops take longer strides there.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

inline constexpr DataType kDataTypes[] = {DataType::kFloat32, DataType::kFloat64,
                                          DataType::kFloat16, DataType::kBFloat16};

// The type's name in the proto, without its prefix.
const char* Name(DataType dtype);

// Section 3: the random byte of element `index`, its 64 further bits, and whether it is
// kept.
std::uint8_t RandomByte(const kernels::BernoulliStream& stream, std::uint64_t index);
std::uint64_t TieBits(const kernels::BernoulliStream& stream, std::uint64_t index);
bool IsKept(const kernels::BernoulliStream& stream, std::uint64_t index);

// Bits as bytes, least significant bit first, unused bits 0.
std::vector<std::uint8_t> Pack(const std::vector<bool>& bits);
bool Bit(const std::vector<std::uint8_t>& packed, std::size_t at);

// The packed bits of the elements first .. first + count - 1.
std::vector<std::uint8_t> BernoulliBits(const kernels::BernoulliStream& stream, std::uint64_t first,
                                        std::size_t count);

// 16-bit formats by their value; a NaN keeps its sign and the upper bits of its payload.
double FromFloat16(std::uint16_t bits);
double FromBFloat16(std::uint16_t bits);
std::uint16_t ToFloat16(float value);   // `value` is not a NaN.
std::uint16_t ToBFloat16(float value);  // `value` is not a NaN.

// The value of an element with these bits.
double Value(DataType dtype, std::uint64_t bits);

// Section 4: the bits of a kept element with the bits `x`. `scale` is rounded to the
// compute type here.
std::uint64_t ScaleElement(DataType dtype, std::uint64_t x, double scale);

// The bits of a x + b with two roundings in the compute type.
std::uint64_t AffineElement(DataType dtype, std::uint64_t x, double a, double b);

// Element i of a buffer of any alignment, as bits in the lower bytes.
std::uint64_t LoadElement(DataType dtype, const std::uint8_t* data, std::size_t i);
void StoreElement(DataType dtype, std::uint64_t bits, std::uint8_t* data, std::size_t i);

// All elements of x: scaled where their bit is 1, else +0.
std::vector<std::uint8_t> MaskedScale(DataType dtype, const std::vector<std::uint8_t>& x,
                                      const std::vector<std::uint8_t>& bits, double scale);

// The kernel under test for `dtype`; `scale` is rounded to its compute type.
void CallKernel(DataType dtype, const void* x, const std::uint8_t* bits, std::size_t n,
                double scale, void* y, kernels::Stores stores);

// `size` bytes that a small generator makes from `seed`: every class of floating-point
// value comes up in them.
std::vector<std::uint8_t> RandomBytes(std::size_t size, std::uint64_t seed);

}  // namespace dropoutd::naive

#endif  // DROPOUTD_TESTS_KERNELS_NAIVE_H_
