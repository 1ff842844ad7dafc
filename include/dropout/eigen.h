// Eigen matrices and vectors in and out of the client.
//
//   Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> x(32, 64);
//   auto result = client.Forward(step, dropout::ViewOf(x));
//   auto y = dropout::MapOf<float>(result->output);   // no copy
//
// Optional: the library itself does not need Eigen. Types: float, double, Eigen::half,
// Eigen::bfloat16.
#ifndef DROPOUT_EIGEN_H_
#define DROPOUT_EIGEN_H_

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <type_traits>

#include "dropout/types.h"

namespace dropout {

template <typename Scalar>
constexpr DataType DataTypeOf() {
  if constexpr (std::is_same_v<Scalar, float>) {
    return DataType::kFloat32;
  } else if constexpr (std::is_same_v<Scalar, double>) {
    return DataType::kFloat64;
  } else if constexpr (std::is_same_v<Scalar, Eigen::half>) {
    return DataType::kFloat16;
  } else {
    static_assert(std::is_same_v<Scalar, Eigen::bfloat16>, "not a type of the service");
    return DataType::kBFloat16;
  }
}

// A view of a matrix, array, map or block, without a copy: shape [rows, cols], or
// [size] for a vector. It must be row-major (or a vector) and outlive the view. Throws
// std::invalid_argument if its elements are not contiguous.
template <typename Derived>
TensorView ViewOf(const Eigen::DenseBase<Derived>& dense) {
  static_assert((Derived::Flags & Eigen::DirectAccessBit) != 0,
                "an expression has no memory: evaluate it first");
  static_assert(Derived::IsRowMajor || Derived::IsVectorAtCompileTime,
                "tensors are row-major: use Eigen::RowMajor");
  const Derived& m = dense.derived();
  TensorView view;
  view.dtype = DataTypeOf<typename Derived::Scalar>();
  bool contiguous = m.innerStride() == 1;
  if constexpr (Derived::IsVectorAtCompileTime) {
    view.shape = {static_cast<std::int64_t>(m.size())};
  } else {
    view.shape = {static_cast<std::int64_t>(m.rows()), static_cast<std::int64_t>(m.cols())};
    contiguous = contiguous && (m.rows() == 1 || m.outerStride() == m.cols());
  }
  if (!contiguous && m.size() > 1) {
    throw std::invalid_argument("dropout::ViewOf: the elements are not contiguous");
  }
  view.data = m.data();
  view.byte_size = static_cast<std::size_t>(m.size()) * sizeof(typename Derived::Scalar);
  return view;
}

template <typename Scalar>
using RowMajorMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// A tensor as a matrix, without a copy: axis 0 gives the rows, the other axes together
// the columns (a tensor of rank 0 is 1 x 1). Throws std::invalid_argument if the
// tensor's type is not Scalar or its bytes are not as many as its shape says. The
// tensor must outlive the map.
template <typename Scalar>
Eigen::Map<const RowMajorMatrix<Scalar>> MapOf(const Tensor& tensor) {
  if (tensor.dtype != DataTypeOf<Scalar>()) {
    throw std::invalid_argument("dropout::MapOf: the tensor has another element type");
  }
  const Eigen::Index rows = tensor.shape.empty() ? 1 : tensor.shape[0];
  Eigen::Index cols = 1;
  for (std::size_t i = 1; i < tensor.shape.size(); ++i) cols *= tensor.shape[i];
  if (static_cast<std::size_t>(rows * cols) * sizeof(Scalar) != tensor.data.size()) {
    throw std::invalid_argument("dropout::MapOf: the tensor's bytes do not match its shape");
  }
  return {reinterpret_cast<const Scalar*>(tensor.data.data()), rows, cols};
}

}  // namespace dropout

#endif  // DROPOUT_EIGEN_H_
