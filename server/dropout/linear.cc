#include "server/dropout/linear.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/kernels/bernoulli_bits.h"
#include "server/kernels/masked_scale.h"

namespace dropoutd {
namespace {

using Index = Eigen::Index;

template <typename T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T>
using ConstMap = Eigen::Map<const Matrix<T>, 0, Eigen::OuterStride<>>;
template <typename T>
using MutableMap = Eigen::Map<Matrix<T>, 0, Eigen::OuterStride<>>;

// Of one tile of weights, of rows of the input or of rows of the output.
constexpr std::size_t kTileBytes = std::size_t{1} << 19;

// Calls f.operator()<T>() with the C++ type of `dtype`.
template <typename F>
auto WithType(DataType dtype, F f) {
  switch (dtype) {
    case DataType::kFloat64:
      return f.template operator()<double>();
    case DataType::kFloat16:
      return f.template operator()<Eigen::half>();
    case DataType::kBFloat16:
      return f.template operator()<Eigen::bfloat16>();
    case DataType::kFloat32:
      break;
  }
  return f.template operator()<float>();
}

// A rectangle of a matrix.
struct Block {
  Index row = 0;
  Index column = 0;
  Index rows = 0;
  Index columns = 0;

  friend bool operator==(const Block&, const Block&) = default;
};

// Cuts 0 .. total - 1 into pieces of at most `most`.
template <typename Body>
void ForEachPiece(Index total, Index most, Body body) {
  for (Index at = 0; at < total; at += most) {
    body(at, std::min(most, total - at));
    Checkpoint();  // A product of two tiles takes milliseconds.
  }
}

// A block of a row-major matrix of any type, as values of type T.
template <typename T>
Matrix<T> ReadBlock(DataType dtype, const void* data, Index columns, const Block& block) {
  return WithType(dtype, [&]<typename S>() -> Matrix<T> {
    const S* const first = static_cast<const S*>(data) + block.row * columns + block.column;
    return ConstMap<S>(first, block.rows, block.columns, Eigen::OuterStride<>(columns))
        .template cast<T>();
  });
}

template <typename T>
constexpr bool IsStoredAs(DataType dtype) {
  return dtype == (std::is_same_v<T, double> ? DataType::kFloat64 : DataType::kFloat32);
}

// The same, without a copy where the matrix is of type T. Refers to `data`; not movable.
template <typename T>
class BlockView {
 public:
  BlockView(DataType dtype, const void* data, Index columns, const Block& block)
      : copy_(IsStoredAs<T>(dtype) ? Matrix<T>() : ReadBlock<T>(dtype, data, columns, block)),
        map_(IsStoredAs<T>(dtype) ? static_cast<const T*>(data) + block.row * columns + block.column
                                  : copy_.data(),
             block.rows, block.columns,
             Eigen::OuterStride<>(IsStoredAs<T>(dtype) ? columns : block.columns)) {}
  BlockView(const BlockView&) = delete;
  BlockView& operator=(const BlockView&) = delete;

  const ConstMap<T>& operator*() const { return map_; }

 private:
  const Matrix<T> copy_;
  const ConstMap<T> map_;
};

template <typename T>
void WriteBlock(DataType dtype, void* data, Index columns, const Block& block,
                const Matrix<T>& values) {
  WithType(dtype, [&]<typename S>() {
    S* const first = static_cast<S*>(data) + block.row * columns + block.column;
    MutableMap<S>(first, block.rows, block.columns, Eigen::OuterStride<>(columns)) =
        values.template cast<S>();
  });
}

inline void MaskedScale(const float* x, const std::uint8_t* bits, std::size_t n, double scale,
                        float* y) {
  kernels::MaskedScaleF32(x, bits, n, static_cast<float>(scale), y, kernels::Stores::kCached);
}

inline void MaskedScale(const double* x, const std::uint8_t* bits, std::size_t n, double scale,
                        double* y) {
  kernels::MaskedScaleF64(x, bits, n, scale, y, kernels::Stores::kCached);
}

// The layer's geometry in Eigen's terms, with tile sizes for compute type T.
template <typename T>
class Tiling {
 public:
  explicit Tiling(const Plan& plan)
      : rows(static_cast<Index>(plan.linear.rows)),
        in(static_cast<Index>(plan.linear.in_features)),
        out(static_cast<Index>(plan.linear.out_features)),
        mask_rows(plan.linear.is_masked ? static_cast<Index>(plan.linear.rows_per_sample) : rows),
        tile_in(std::min(in, kElements)),
        tile_out(std::clamp<Index>(kElements / tile_in, 1, out)),
        tile_rows(std::max<Index>(1, kElements / std::max(tile_in, tile_out))) {}

  const Index rows;
  const Index in;
  const Index out;
  const Index mask_rows;  // Rows that have one mask.
  const Index tile_in;
  const Index tile_out;
  const Index tile_rows;

  // Calls body(mask, row, rows) for rows that share a mask, at most tile_rows at once.
  template <typename Body>
  void ForEachRows(Body body) const {
    for (Index mask = 0, row = 0; row < rows; ++mask, row += mask_rows) {
      ForEachPiece(std::min(mask_rows, rows - row), tile_rows,
                   [&](Index at, Index n) { body(mask, row + at, n); });
    }
  }

 private:
  static constexpr Index kElements = static_cast<Index>(kTileBytes / sizeof(T));
};

// Makes tiles of weights, masked for one sample or as they are. Keeps the last one.
template <typename T>
class MaskedWeights {
 public:
  MaskedWeights(const Plan& plan, const Parameter& weight) : plan_(plan), weight_(weight) {}

  // The tile `block` of mask number `mask`, times the plan's scale.
  const Matrix<T>& Tile(Index mask, const Block& block) {
    if (mask == mask_ && block == block_) return tile_;
    mask_ = mask;
    block_ = block;
    const BlockView<T> weights(weight_.dtype, weight_.data.data(), in(), block);
    tile_.resize(block.rows, block.columns);
    Apply(mask, block, *weights, tile_);
    return tile_;
  }

  // Masks `values`, which stand where `block` does, into `masked`, which may be the same.
  void Apply(Index mask, const Block& block, const ConstMap<T>& values, Matrix<T>& masked) {
    if (!plan_.linear.is_masked) {
      masked = values * static_cast<T>(plan_.scale);
      return;
    }
    // Whole rows follow each other in the mask and in the values too.
    const bool joined = block.columns == in();
    const Index count = joined ? block.rows * block.columns : block.columns;
    bits_.resize(static_cast<std::size_t>(count + 7) / 8);
    for (Index row = 0; row < (joined ? 1 : block.rows); ++row) {
      const Index at = (mask * out() + block.row + row) * in() + block.column;
      kernels::BernoulliBits(plan_.stream,
                             plan_.layout.first_index + static_cast<std::uint64_t>(at),
                             static_cast<std::size_t>(count), bits_.data());
      MaskedScale(values.data() + row * values.outerStride(), bits_.data(),
                  static_cast<std::size_t>(count), plan_.scale,
                  masked.data() + row * block.columns);
    }
  }

 private:
  Index in() const { return static_cast<Index>(plan_.linear.in_features); }
  Index out() const { return static_cast<Index>(plan_.linear.out_features); }

  const Plan& plan_;
  const Parameter& weight_;
  Index mask_ = -1;
  Block block_;
  Matrix<T> tile_;
  std::vector<std::uint8_t> bits_;
};

template <typename T>
void Forward(const Plan& plan, const LinearParameters& parameters, DataType dtype, const void* x,
             void* y) {
  const Tiling<T> tiling(plan);
  MaskedWeights<T> weights(plan, parameters.weight());
  const Parameter* const bias = parameters.bias();
  ForEachPiece(tiling.out, tiling.tile_out, [&](Index o, Index outs) {
    tiling.ForEachRows([&](Index mask, Index row, Index rows) {
      Matrix<T> product = Matrix<T>::Zero(rows, outs);
      ForEachPiece(tiling.in, tiling.tile_in, [&](Index i, Index ins) {
        const BlockView<T> input(dtype, x, tiling.in, {row, i, rows, ins});
        product.noalias() += *input * weights.Tile(mask, {o, i, outs, ins}).transpose();
      });
      if (bias != nullptr) {
        product.rowwise() +=
            ReadBlock<T>(bias->dtype, bias->data.data(), tiling.out, {0, o, 1, outs}).row(0);
      }
      WriteBlock(dtype, y, tiling.out, {row, o, rows, outs}, product);
    });
  });
}

template <typename T>
void InputGradient(const Plan& plan, const LinearParameters& parameters, DataType dtype,
                   const void* dy, void* dx) {
  const Tiling<T> tiling(plan);
  MaskedWeights<T> weights(plan, parameters.weight());
  ForEachPiece(tiling.in, tiling.tile_in, [&](Index i, Index ins) {
    tiling.ForEachRows([&](Index mask, Index row, Index rows) {
      Matrix<T> product = Matrix<T>::Zero(rows, ins);
      ForEachPiece(tiling.out, tiling.tile_out, [&](Index o, Index outs) {
        const BlockView<T> gradient(dtype, dy, tiling.out, {row, o, rows, outs});
        product.noalias() += *gradient * weights.Tile(mask, {o, i, outs, ins});
      });
      WriteBlock(dtype, dx, tiling.in, {row, i, rows, ins}, product);
    });
  });
}

Parameter LikeParameter(const Parameter& parameter) {
  return {parameter.name, parameter.dtype, parameter.shape,
          std::vector<std::byte>(parameter.data.size())};
}

template <typename T>
Parameter WeightGradient(const Plan& plan, const Parameter& weight, DataType x_dtype, const void* x,
                         DataType dtype, const void* dy) {
  const Tiling<T> tiling(plan);
  MaskedWeights<T> masks(plan, weight);
  Parameter gradient = LikeParameter(weight);
  ForEachPiece(tiling.out, tiling.tile_out, [&](Index o, Index outs) {
    ForEachPiece(tiling.in, tiling.tile_in, [&](Index i, Index ins) {
      const Block block = {o, i, outs, ins};
      Matrix<T> sum = Matrix<T>::Zero(outs, ins);
      Matrix<T> product(outs, ins);
      tiling.ForEachRows([&](Index mask, Index row, Index rows) {
        const BlockView<T> input(x_dtype, x, tiling.in, {row, i, rows, ins});
        const BlockView<T> error(dtype, dy, tiling.out, {row, o, rows, outs});
        product.noalias() = (*error).transpose() * *input;
        masks.Apply(mask, block, ConstMap<T>(product.data(), outs, ins, Eigen::OuterStride<>(ins)),
                    product);
        sum += product;
      });
      WriteBlock(gradient.dtype, gradient.data.data(), tiling.in, block, sum);
    });
  });
  return gradient;
}

template <typename T>
Parameter BiasGradient(const Plan& plan, const Parameter& bias, DataType dtype, const void* dy) {
  const Tiling<T> tiling(plan);
  Parameter gradient = LikeParameter(bias);
  ForEachPiece(tiling.out, tiling.tile_out, [&](Index o, Index outs) {
    Matrix<T> sum = Matrix<T>::Zero(1, outs);
    tiling.ForEachRows([&](Index, Index row, Index rows) {
      sum += ReadBlock<T>(dtype, dy, tiling.out, {row, o, rows, outs}).colwise().sum();
    });
    WriteBlock(gradient.dtype, gradient.data.data(), tiling.out, {0, o, 1, outs}, sum);
  });
  return gradient;
}

template <typename T>
std::optional<LinearGradients> Backward(const Plan& plan, const LinearParameters& parameters,
                                        DataType x_dtype, const void* x, DataType dtype,
                                        const void* dy, void* dx) {
  InputGradient<T>(plan, parameters, dtype, dy, dx);
  if (x == nullptr) return std::nullopt;
  LinearGradients gradients{WeightGradient<T>(plan, parameters.weight(), x_dtype, x, dtype, dy),
                            {}};
  if (parameters.bias() != nullptr) {
    gradients.bias = BiasGradient<T>(plan, *parameters.bias(), dtype, dy);
  }
  return gradients;
}

// The parameter, never null.
absl::StatusOr<const Parameter*> FindOfShape(const Parameters& parameters, std::string_view name,
                                             std::span<const std::int64_t> sizes) {
  const Parameter* const found = parameters.Find(name);
  if (found != nullptr && std::ranges::equal(found->shape.sizes(), sizes)) return found;
  return MakeError(
      Reason::kParametersRequired,
      absl::StrCat("parameters: ", absl::string_view(name.data(), name.size()), " is not set",
                   found == nullptr ? "" : " in the layer's sizes", "; call SetParameters first"));
}

}  // namespace

absl::StatusOr<LinearParameters> LinearParameters::Find(const Plan& plan,
                                                        const Parameters& parameters) {
  const std::int64_t in = plan.linear.in_features;
  const std::int64_t out = plan.linear.out_features;
  DROPOUTD_ASSIGN_OR_RETURN(const Parameter* const weight,
                            FindOfShape(parameters, kWeight, std::array{out, in}));
  if (!plan.linear.has_bias) return LinearParameters(*weight, nullptr);
  DROPOUTD_ASSIGN_OR_RETURN(const Parameter* const bias,
                            FindOfShape(parameters, kBias, std::array{out}));
  return LinearParameters(*weight, bias);
}

void LinearForward(const Plan& plan, const LinearParameters& parameters, DataType dtype,
                   const void* x, void* y) {
  if (dtype == DataType::kFloat64) return Forward<double>(plan, parameters, dtype, x, y);
  Forward<float>(plan, parameters, dtype, x, y);
}

std::optional<LinearGradients> LinearBackward(const Plan& plan, const LinearParameters& parameters,
                                              DataType x_dtype, const void* x, DataType dtype,
                                              const void* dy, void* dx) {
  if (dtype == DataType::kFloat64) {
    return Backward<double>(plan, parameters, x_dtype, x, dtype, dy, dx);
  }
  return Backward<float>(plan, parameters, x_dtype, x, dtype, dy, dx);
}

}  // namespace dropoutd
