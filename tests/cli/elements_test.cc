#include "client/cli/elements.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

Tensor Float16(std::uint16_t bits) { return MakeTensor(DataType::kFloat16, {}, std::vector{bits}); }
Tensor BFloat16(std::uint16_t bits) {
  return MakeTensor(DataType::kBFloat16, {}, std::vector{bits});
}

TEST(ElementsTest, CountsElements) {
  EXPECT_EQ(ElementCount({}), 1u);
  EXPECT_EQ(ElementCount({3, 4}), 12u);
  EXPECT_EQ(ElementCount({3, 0}), 0u);
  EXPECT_EQ(ElementCount({std::int64_t{1} << 62, std::int64_t{1} << 62, 0}), 0u);
  EXPECT_EQ(ElementCount({-1}), std::nullopt);
  EXPECT_EQ(ElementCount({0, -1}), std::nullopt);
  EXPECT_EQ(ElementCount({std::int64_t{1} << 32, std::int64_t{1} << 32}), std::nullopt);
}

TEST(ElementsTest, ReadsHalfWidthValuesExactly) {
  EXPECT_EQ(ElementAt(Float16(0x3C00), 0), 1.0);
  EXPECT_EQ(ElementAt(Float16(0xC000), 0), -2.0);
  EXPECT_EQ(ElementAt(Float16(0x7BFF), 0), 65504.0);
  EXPECT_EQ(ElementAt(Float16(0x0001), 0), std::ldexp(1.0, -24));
  EXPECT_EQ(ElementAt(Float16(0x7C00), 0), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(ElementAt(Float16(0x7E00), 0)));
  EXPECT_TRUE(std::signbit(ElementAt(Float16(0x8000), 0)));
  EXPECT_EQ(ElementAt(BFloat16(0x3F80), 0), 1.0);
  EXPECT_EQ(ElementAt(BFloat16(0xC040), 0), -3.0);
}

TEST(ElementsTest, ReadableValuesAreTheShortestDecimals) {
  EXPECT_EQ(ReadableElementAt(MakeTensor<float>(DataType::kFloat32, {1}, {0.1f}), 0), 0.1);
  EXPECT_EQ(ReadableElementAt(Float16(0x2E66), 0), 0.1);
  EXPECT_EQ(ReadableElementAt(BFloat16(0x3DCD), 0), 0.1);
  EXPECT_EQ(ReadableElementAt(Float16(0x7BFF), 0), 65500.0);
  EXPECT_EQ(ReadableElementAt(MakeTensor<double>(DataType::kFloat64, {1}, {0.1}), 0), 0.1);
  EXPECT_TRUE(std::isnan(ReadableElementAt(Float16(0x7E00), 0)));
}

// Distinct values stay distinct, so that what is printed identifies the element.
TEST(ElementsTest, ReadableHalfWidthValuesLieNearestToTheirElement) {
  for (std::uint32_t bits = 1; bits < 0x7BFF; ++bits) {
    const double value = ElementAt(Float16(static_cast<std::uint16_t>(bits)), 0);
    const double below = ElementAt(Float16(static_cast<std::uint16_t>(bits - 1)), 0);
    const double above = ElementAt(Float16(static_cast<std::uint16_t>(bits + 1)), 0);
    const double readable = ReadableElementAt(Float16(static_cast<std::uint16_t>(bits)), 0);
    ASSERT_GT(readable, (below + value) / 2) << bits;
    ASSERT_LT(readable, (above + value) / 2) << bits;
  }
}

TEST(ElementsTest, ChecksWhatAServerSent) {
  EXPECT_TRUE(CheckTensor(MakeTensor<float>(DataType::kFloat32, {2}, {1, 2})).ok());
  EXPECT_FALSE(CheckTensor(MakeTensor<float>(DataType::kFloat32, {3}, {1, 2})).ok());
  EXPECT_FALSE(CheckTensor(MakeTensor<float>(DataType::kUnspecified, {2}, {1, 2})).ok());
  EXPECT_FALSE(CheckTensor(MakeTensor<float>(DataType::kFloat32, {-2}, {})).ok());
  EXPECT_TRUE(CheckMask(MakeMask({3, 3}, "111111111")).ok());
  EXPECT_FALSE(CheckMask(MakeMask({3, 3}, "11111111")).ok());
  EXPECT_FALSE(CheckMask(MakeMask({3}, "111111111")).ok());
}

}  // namespace
}  // namespace dropout::cli
