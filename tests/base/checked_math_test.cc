#include "server/base/checked_math.h"

#include <gtest/gtest.h>

#include <limits>

namespace dropoutd {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(CheckedMultiply, GivesProductsThatFit) {
  EXPECT_EQ(CheckedMultiply(0, 0), 0);
  EXPECT_EQ(CheckedMultiply(0, kMax), 0);
  EXPECT_EQ(CheckedMultiply(1, kMax), kMax);
  EXPECT_EQ(CheckedMultiply(kMax, 1), kMax);
  EXPECT_EQ(CheckedMultiply(std::int64_t{1} << 31, std::int64_t{1} << 31), std::int64_t{1} << 62);
}

TEST(CheckedMultiply, RefusesOverflow) {
  EXPECT_EQ(CheckedMultiply(2, kMax), std::nullopt);
  EXPECT_EQ(CheckedMultiply(kMax, kMax), std::nullopt);
  EXPECT_EQ(CheckedMultiply(std::int64_t{1} << 32, std::int64_t{1} << 31), std::nullopt);
}

}  // namespace
}  // namespace dropoutd
