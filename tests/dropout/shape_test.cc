#include "server/dropout/shape.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "server/base/error.h"

namespace dropoutd {
namespace {

using Sizes = std::vector<std::int64_t>;
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(Shape, DefaultIsAScalar) {
  const Shape shape;
  EXPECT_EQ(shape.rank(), 0);
  EXPECT_EQ(shape.ElementCount(), 1);
  EXPECT_EQ(shape.ToString(), "[]");
  EXPECT_EQ(Shape::Make({}).value(), shape);
}

TEST(Shape, KeepsItsSizes) {
  const Shape shape = Shape::Make(Sizes{4, 1, 5}).value();
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape[0], 4);
  EXPECT_EQ(shape[2], 5);
  EXPECT_EQ(Sizes(shape.sizes().begin(), shape.sizes().end()), (Sizes{4, 1, 5}));
  EXPECT_EQ(shape.ElementCount(), 20);
  EXPECT_EQ(shape.ToString(), "[4, 1, 5]");
}

TEST(Shape, EmptyTensorsAreShapes) {
  for (const Sizes& sizes : {Sizes{0}, Sizes{0, 4}, Sizes{4, 0}, Sizes{0, kMax}, Sizes{kMax, 0}}) {
    const auto shape = Shape::Make(sizes);
    ASSERT_TRUE(shape.ok()) << shape.status();
    EXPECT_EQ(shape->ElementCount(), 0);
  }
}

TEST(Shape, LargestShapes) {
  for (const Sizes& sizes :
       {Sizes{kMax}, Sizes{1, kMax, 1}, Sizes{std::int64_t{1} << 31, std::int64_t{1} << 31},
        Sizes{7, kMax / 7}, Sizes{1, 1, 1, 1, 1, 1, 1, kMax}}) {
    ASSERT_TRUE(Shape::Make(sizes).ok());
  }
  EXPECT_EQ(Shape::Make(Sizes{kMax}).value().ElementCount(), kMax);
}

TEST(Shape, HostileSizesAreRefused) {
  const std::vector<Sizes> hostile = {
      {-1},
      {std::numeric_limits<std::int64_t>::min()},
      {4, -1},
      {0, -1},
      {-1, -1},
      {kMax, 2},
      {2, kMax},
      {kMax, kMax},
      {std::int64_t{1} << 32, std::int64_t{1} << 31},
      // 2^64 and 2^64 + a bit, which wrap to something small.
      {std::int64_t{1} << 32, std::int64_t{1} << 32},
      {std::int64_t{1} << 62, 4},
      {kMax / 2, 4},
      // Products of the other axes count where one is empty, so that strides fit too.
      {0, kMax, 2},
      {kMax, 0, 2},
      {kMax, 2, 0},
      {1, 1, 1, 1, 1, 1, 1, 1, 1},
      Sizes(1000, 1),
      Sizes(1000, 0),
  };
  for (const Sizes& sizes : hostile) {
    const auto shape = Shape::Make(sizes);
    ASSERT_FALSE(shape.ok());
    EXPECT_EQ(ReasonOf(shape.status()), Reason::kInvalidTensor) << shape.status();
    EXPECT_EQ(shape.status().message().substr(0, 7), "shape: ");
    EXPECT_LT(shape.status().message().size(), 300u);
  }
}

TEST(Shape, WithOnesChangesTheNamedAxesOnly) {
  const Shape shape = Shape::Make(Sizes{4, 0, 5}).value();
  EXPECT_EQ(shape.WithOnes(0), shape);
  EXPECT_EQ(shape.WithOnes(0b010), Shape::Make(Sizes{4, 1, 5}).value());
  EXPECT_EQ(shape.WithOnes(0b101), Shape::Make(Sizes{1, 0, 1}).value());
  EXPECT_EQ(shape.WithOnes(~0u), Shape::Make(Sizes{1, 1, 1}).value());
  EXPECT_EQ(Shape().WithOnes(~0u), Shape());
}

TEST(Shape, EqualityLooksAtRankToo) {
  EXPECT_NE(Shape::Make(Sizes{4}).value(), Shape::Make(Sizes{4, 0}).value());
  EXPECT_NE(Shape::Make(Sizes{0}).value(), Shape());
}

}  // namespace
}  // namespace dropoutd
