// Shapes of tensors.
#ifndef DROPOUTD_SERVER_DROPOUT_SHAPE_H_
#define DROPOUTD_SERVER_DROPOUT_SHAPE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace dropoutd {

// The sizes of a tensor's axes, outermost first.
//
// Invariants: rank 0 to 8; each size 0 or more; the product of the sizes, zeros counted
// as ones, fits an int64, so that any product of axes does. A value; no allocation.
class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;  // Rank 0: one element.

  // INVALID_TENSOR for a rank over 8, a negative size or an overflow.
  static absl::StatusOr<Shape> Make(std::span<const std::int64_t> sizes);

  // What Make says of a rank over 8.
  static absl::Status RankError(std::size_t rank);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return sizes_[static_cast<std::size_t>(axis)]; }
  std::span<const std::int64_t> sizes() const { return {sizes_.data(), std::size_t{rank_}}; }

  // Number of elements; 1 for rank 0.
  std::int64_t ElementCount() const;

  // The same shape with size 1 on the axes of `axes` (bit i: axis i).
  Shape WithOnes(unsigned axes) const;

  // Whether the elements, of so many bytes each, take `byte_size` bytes.
  bool Takes(std::size_t byte_size, std::int64_t element_size) const;

  // For messages: "[4, 5]".
  std::string ToString() const;

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<std::int64_t, kMaxRank> sizes_{};  // Zero from rank_ on.
  std::uint8_t rank_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_SHAPE_H_
