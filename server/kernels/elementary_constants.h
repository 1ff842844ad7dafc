// Constants of server/kernels/elementary-inl.h and docs/mask-format.md, section 5.
#ifndef DROPOUTD_SERVER_KERNELS_ELEMENTARY_CONSTANTS_H_
#define DROPOUTD_SERVER_KERNELS_ELEMENTARY_CONSTANTS_H_

#include <cstdint>

namespace dropoutd::kernels::elementary {

// Adding it rounds a float64 of at most 2^51 to an integer, in the lowest bits of the sum.
inline constexpr double kToInteger = 0x1.8p52;

// ln 2 = kLn2High + kLn2Low; the first has 32 significant bits, so that its product with an
// exponent is exact.
inline constexpr double kLn2High = 0x1.62e42feep-1;
inline constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
inline constexpr double kLog2E = 0x1.71547652b82fep+0;
inline constexpr double kTwoPi = 0x1.921fb54442d18p+2;

// Float64 encodings.
inline constexpr std::uint64_t kSqrtHalfBits = 0x3FE6A09E667F3BCD;
inline constexpr std::uint64_t kOneBits = 0x3FF0000000000000;
inline constexpr std::uint64_t kTwo52Bits = 0x4330000000000000;
inline constexpr std::uint64_t kFractionMask = 0x000FFFFFFFFFFFFF;

// Coefficients of the Taylor series, each the float64 nearest to its fraction.
// 2 artanh(s) = 2 s + s z (kLog[0] + kLog[1] z + ...), z = s^2.
inline constexpr double kLog[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                                  2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
// exp(r) = 1 + r + r^2 (kExp[0] + kExp[1] r + ...).
inline constexpr double kExp[] = {1.0 / 2.0,        1.0 / 6.0,         1.0 / 24.0,
                                  1.0 / 120.0,      1.0 / 720.0,       1.0 / 5040.0,
                                  1.0 / 40320.0,    1.0 / 362880.0,    1.0 / 3628800.0,
                                  1.0 / 39916800.0, 1.0 / 479001600.0, 1.0 / 6227020800.0};
// sin(a) = a + a z (kSin[0] + kSin[1] z + ...), z = a^2.
inline constexpr double kSin[] = {
    -1.0 / 6.0,        1.0 / 120.0,        -1.0 / 5040.0,          1.0 / 362880.0,
    -1.0 / 39916800.0, 1.0 / 6227020800.0, -1.0 / 1307674368000.0, 1.0 / 355687428096000.0};
// cos(a) = 1 + z (kCos[0] + kCos[1] z + ...).
inline constexpr double kCos[] = {
    -1.0 / 2.0,       1.0 / 24.0,        -1.0 / 720.0,         1.0 / 40320.0,
    -1.0 / 3628800.0, 1.0 / 479001600.0, -1.0 / 87178291200.0, 1.0 / 20922789888000.0};

}  // namespace dropoutd::kernels::elementary

#endif  // DROPOUTD_SERVER_KERNELS_ELEMENTARY_CONSTANTS_H_
