#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "dropout/eigen.h"

namespace dropout {
namespace {

using testing::ElementsAre;

// A tensor of float32 with the values 0, 1, ...
Tensor Counting(std::vector<std::int64_t> shape, int size) {
  Tensor tensor{DataType::kFloat32, std::move(shape), std::string(size * sizeof(float), '\0')};
  for (int i = 0; i < size; ++i) {
    const float value = static_cast<float>(i);
    std::memcpy(&tensor.data[i * sizeof(float)], &value, sizeof(float));
  }
  return tensor;
}

TEST(ViewOfTest, RowMajorMatrix) {
  const RowMajorMatrix<float> m(2, 3);
  const TensorView view = ViewOf(m);
  EXPECT_EQ(view.dtype, DataType::kFloat32);
  EXPECT_THAT(view.shape, ElementsAre(2, 3));
  EXPECT_EQ(view.data, m.data());
  EXPECT_EQ(view.byte_size, 24u);
}

TEST(ViewOfTest, VectorsHaveOneAxis) {
  const Eigen::VectorXd column(5);
  const Eigen::RowVectorXd row(4);
  EXPECT_THAT(ViewOf(column).shape, ElementsAre(5));
  EXPECT_EQ(ViewOf(column).dtype, DataType::kFloat64);
  EXPECT_THAT(ViewOf(row).shape, ElementsAre(4));
}

TEST(ViewOfTest, HalfTypes) {
  EXPECT_EQ(ViewOf(RowMajorMatrix<Eigen::half>(1, 2)).dtype, DataType::kFloat16);
  EXPECT_EQ(ViewOf(RowMajorMatrix<Eigen::bfloat16>(1, 2)).dtype, DataType::kBFloat16);
  EXPECT_EQ(ViewOf(RowMajorMatrix<Eigen::bfloat16>(1, 2)).byte_size, 4u);
}

TEST(ViewOfTest, EmptyMatrix) {
  const RowMajorMatrix<float> m(0, 3);
  EXPECT_THAT(ViewOf(m).shape, ElementsAre(0, 3));
  EXPECT_EQ(ViewOf(m).byte_size, 0u);
}

TEST(ViewOfTest, MapsAndRowsOfAMatrix) {
  float values[6] = {};
  const Eigen::Map<const RowMajorMatrix<float>> map(values, 3, 2);
  EXPECT_EQ(ViewOf(map).data, values);
  EXPECT_THAT(ViewOf(map).shape, ElementsAre(3, 2));
  EXPECT_EQ(ViewOf(map.middleRows(1, 2)).data, values + 2);
  EXPECT_THAT(ViewOf(map.row(1)).shape, ElementsAre(2));
}

TEST(ViewOfTest, RefusesWhatIsNotContiguous) {
  const RowMajorMatrix<float> m(3, 3);
  EXPECT_THROW(ViewOf(m.leftCols(2)), std::invalid_argument);
  EXPECT_THROW(ViewOf(m.col(1)), std::invalid_argument);
}

TEST(MapOfTest, AxisZeroGivesTheRows) {
  const Tensor tensor = Counting({2, 3, 2}, 12);
  const auto m = MapOf<float>(tensor);
  EXPECT_EQ(m.rows(), 2);
  EXPECT_EQ(m.cols(), 6);
  EXPECT_EQ(m(1, 0), 6.0f);
  EXPECT_EQ(m(1, 5), 11.0f);
}

TEST(MapOfTest, RankZeroIsOneElement) {
  const Tensor tensor = Counting({}, 1);
  EXPECT_EQ(MapOf<float>(tensor).size(), 1);
}

TEST(MapOfTest, AVectorIsAColumn) {
  const Tensor tensor = Counting({4}, 4);
  EXPECT_EQ(MapOf<float>(tensor).rows(), 4);
  EXPECT_EQ(MapOf<float>(tensor).cols(), 1);
}

TEST(MapOfTest, RefusesAnotherType) {
  const Tensor tensor = Counting({2}, 2);
  EXPECT_THROW(MapOf<double>(tensor), std::invalid_argument);
}

TEST(MapOfTest, RefusesBytesThatDoNotMatchTheShape) {
  const Tensor tensor = Counting({3}, 2);
  EXPECT_THROW(MapOf<float>(tensor), std::invalid_argument);
}

TEST(ElementSizeTest, KnownAndUnknownTypes) {
  EXPECT_EQ(ElementSize(DataType::kFloat32), 4u);
  EXPECT_EQ(ElementSize(DataType::kFloat64), 8u);
  EXPECT_EQ(ElementSize(DataType::kFloat16), 2u);
  EXPECT_EQ(ElementSize(DataType::kBFloat16), 2u);
  EXPECT_EQ(ElementSize(DataType::kUnspecified), 0u);
  EXPECT_EQ(ElementSize(static_cast<DataType>(99)), 0u);
}

}  // namespace
}  // namespace dropout
