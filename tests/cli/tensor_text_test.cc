#include "client/cli/tensor_text.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

std::string Format(std::vector<std::int64_t> shape, const std::vector<double>& values) {
  return FormatTensor(MakeTensor(DataType::kFloat64, std::move(shape), values));
}

std::vector<double> Range(int count) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(i);
  return values;
}

// The expected texts are numpy.array2string(x, separator=", ").
TEST(TensorTextTest, LinesUpAsNumpyDoes) {
  EXPECT_EQ(Format({2, 3}, {0, 2, 0, 0, 0, 2}),
            "[[0., 2., 0.],\n"
            " [0., 0., 2.]]");
  EXPECT_EQ(Format({2, 2}, {0, 0.04, -1.5, 10}),
            "[[ 0.  ,  0.04],\n"
            " [-1.5 , 10.  ]]");
  EXPECT_EQ(Format({}, {0.5}), "0.5");
  EXPECT_EQ(Format({3}, {1.0 / 3, 2, 1}), "[0.33333333, 2.        , 1.        ]");
  EXPECT_EQ(Format({2, 1, 2}, {1, 2, 3, 4}),
            "[[[1., 2.]],\n"
            "\n"
            " [[3., 4.]]]");
}

TEST(TensorTextTest, WideRangesAreScientific) {
  EXPECT_EQ(Format({2}, {1e-5, 1.5}), "[1.0e-05, 1.5e+00]");
  EXPECT_EQ(Format({1}, {1e-5}), "[1.e-05]");
  EXPECT_EQ(Format({2}, {1e8, -1e8}), "[ 1.e+08, -1.e+08]");
}

TEST(TensorTextTest, NotFiniteValues) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Format({3}, {std::numeric_limits<double>::quiet_NaN(), -infinity, 1}),
            "[ nan, -inf,   1.]");
  EXPECT_EQ(Format({3}, {infinity, 0.125, 10.5}), "[   inf,  0.125, 10.5  ]");
  EXPECT_EQ(Format({2}, {1e-5, infinity}), "[1.e-05,    inf]");
}

TEST(TensorTextTest, ShowsTheShortestDecimalOfNarrowTypes) {
  EXPECT_EQ(FormatTensor(MakeTensor<float>(DataType::kFloat32, {2}, {0.1f, 0.2f})), "[0.1, 0.2]");
}

TEST(TensorTextTest, EmptyTensor) { EXPECT_EQ(Format({0, 3}, {}), "[]"); }

TEST(TensorTextTest, WrapsLongLines) {
  EXPECT_EQ(Format({20}, Range(20)),
            "[ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13., 14.,\n"
            " 15., 16., 17., 18., 19.]");
  std::vector<double> halves = Range(24);
  for (double& value : halves) value /= 2;
  EXPECT_EQ(Format({1, 2, 12}, halves),
            "[[[ 0. ,  0.5,  1. ,  1.5,  2. ,  2.5,  3. ,  3.5,  4. ,  4.5,  5. ,\n"
            "    5.5],\n"
            "  [ 6. ,  6.5,  7. ,  7.5,  8. ,  8.5,  9. ,  9.5, 10. , 10.5, 11. ,\n"
            "   11.5]]]");
}

TEST(TensorTextTest, ElidesPast1000Elements) {
  EXPECT_EQ(Format({1001}, Range(1001)), "[   0.,    1.,    2., ...,  998.,  999., 1000.]");
  EXPECT_EQ(Format({1, 1000}, Range(1000)).find("..."), std::string::npos);
  const std::string text =
      FormatTensor(MakeTensor(DataType::kFloat32, {100, 20}, std::vector<float>(2000, 1.0f)));
  EXPECT_EQ(text,
            "[[1., 1., 1., ..., 1., 1., 1.],\n"
            " [1., 1., 1., ..., 1., 1., 1.],\n"
            " [1., 1., 1., ..., 1., 1., 1.],\n"
            " ...,\n"
            " [1., 1., 1., ..., 1., 1., 1.],\n"
            " [1., 1., 1., ..., 1., 1., 1.],\n"
            " [1., 1., 1., ..., 1., 1., 1.]]");
}

TEST(TensorTextTest, FormatsShapes) {
  EXPECT_EQ(FormatShape({4, 5}), "[4, 5]");
  EXPECT_EQ(FormatShape({}), "[]");
}

}  // namespace
}  // namespace dropout::cli
