#include "server/kernels/exact_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace dropoutd::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMax = std::numeric_limits<double>::max();
constexpr double kLeast = std::numeric_limits<double>::denorm_min();

double Sum(const std::vector<double>& values) {
  ExactSum sum;
  for (const double value : values) sum.Add(value);
  return sum.Value();
}

TEST(ExactSum, OneValueIsItself) {
  EXPECT_EQ(std::bit_cast<std::uint64_t>(ExactSum().Value()), 0u);
  for (int exponent = -1074; exponent <= 1023; ++exponent) {
    for (const double fraction : {1.0, 1 + 0x1p-52, 2 - 0x1p-52, 1.3}) {
      const double value = std::ldexp(fraction, exponent);
      ASSERT_EQ(Sum({value}), value);
      ASSERT_EQ(Sum({-value}), -value);
    }
  }
  EXPECT_EQ(Sum({kMax}), kMax);
}

TEST(ExactSum, RoundsOnceToNearestEven) {
  EXPECT_EQ(Sum({1, 0x1p-53}), 1);
  EXPECT_EQ(Sum({1, 0x1p-53, kLeast}), 1 + 0x1p-52);
  EXPECT_EQ(Sum({1, 0x1p-53, -kLeast}), 1);
  EXPECT_EQ(Sum({1 + 0x1p-52, 0x1p-53}), 1 + 0x1p-51);
  EXPECT_EQ(Sum({-1, -0x1p-53, -kLeast}), -1 - 0x1p-52);
  EXPECT_EQ(Sum({0x1p53, 1, 0x1p-1000}), 0x1p53 + 2);
  EXPECT_EQ(Sum({0x1p-1022, kLeast, -0x1p-1022}), kLeast);
}

TEST(ExactSum, CancelsExactly) {
  EXPECT_EQ(Sum({1e300, 1, -1e300}), 1);
  EXPECT_EQ(Sum({kMax, kMax, -kMax, kLeast, -kMax}), kLeast);
  EXPECT_EQ(std::bit_cast<std::uint64_t>(Sum({1e300, -1e300})), 0u);
  EXPECT_EQ(Sum({kMax, kMax}), kInfinity);
  EXPECT_EQ(Sum({-kMax, -kMax}), -kInfinity);
}

TEST(ExactSum, InfinitiesAndNans) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Sum({1, kInfinity, -kMax}), kInfinity);
  EXPECT_EQ(Sum({-kInfinity, 1}), -kInfinity);
  EXPECT_TRUE(std::isnan(Sum({kInfinity, 1, -kInfinity})));
  EXPECT_EQ(std::bit_cast<std::uint64_t>(Sum({-kNan, 1})), 0x7FF8000000000000u);
  ExactSum sum;
  sum.Add(3);
  ExactSum infinite;
  infinite.Add(kInfinity);
  sum.Add(infinite);
  EXPECT_EQ(sum.Value(), kInfinity);
}

// Whole numbers of a common unit have an exact integer sum to compare with.
TEST(ExactSum, AgreesWithIntegersInAnyOrderAndSplit) {
  std::mt19937_64 engine(1);
  for (int round = 0; round < 200; ++round) {
    const int unit = static_cast<int>(engine() % 2000) - 1074;
    std::vector<double> values(1000);
    std::int64_t total = 0;
    for (double& value : values) {
      const auto number = static_cast<std::int64_t>(engine()) >> (12 + engine() % 40);
      total += number;
      value = std::ldexp(static_cast<double>(number), unit);
    }
    // A sum of a thousand 51-bit numbers fits 61 bits: one conversion rounds it once.
    const double expected = std::ldexp(static_cast<double>(total), unit);
    EXPECT_EQ(Sum(values), expected);
    std::shuffle(values.begin(), values.end(), engine);
    ExactSum parts[3];
    for (std::size_t i = 0; i < values.size(); ++i) parts[i % 3].Add(values[i]);
    parts[1].Add(parts[2]);
    parts[0].Add(parts[1]);
    EXPECT_EQ(parts[0].Value(), expected);
  }
}

// Doubles a sum again and again, through the point where limbs must be carried.
TEST(ExactSum, ManyAdditionsDoNotOverflow) {
  ExactSum sum;
  sum.Add(1 - 0x1p-53);
  sum.Add(-0x1.8p-40);
  const double once = sum.Value();
  for (int i = 1; i <= 200; ++i) {
    const ExactSum copy = sum;
    sum.Add(copy);
    ASSERT_EQ(sum.Value(), std::ldexp(once, i));
  }
}

}  // namespace
}  // namespace dropoutd::kernels
