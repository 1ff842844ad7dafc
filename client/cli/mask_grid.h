// A mask as rows and columns: the leading axes together give the rows, the last axis
// the columns; rank 0 and 1 are one row.
#ifndef DROPOUTD_CLIENT_CLI_MASK_GRID_H_
#define DROPOUTD_CLIENT_CLI_MASK_GRID_H_

#include <cstddef>

#include "dropout/types.h"

namespace dropout::cli {

// Refers to `mask`, which must outlive it and have passed CheckMask. What is kept is only asked of
// a mask of bits.
class MaskGrid {
 public:
  explicit MaskGrid(const Mask& mask);

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  bool has_bits() const { return !mask_.multipliers.has_value(); }
  std::size_t size() const { return rows_ * columns_; }

  bool Kept(std::size_t row, std::size_t column) const {
    return mask_.Kept(row * columns_ + column);
  }

  // The element's multiplier, without the scale where it is of bits: 1 if kept, else 0.
  double Multiplier(std::size_t row, std::size_t column) const;

  std::size_t KeptCount() const;

  // Kept elements as a share of all, in [0, 1]; 0 for a mask without elements.
  double KeptShare() const;

 private:
  const Mask& mask_;
  std::size_t rows_ = 1;
  std::size_t columns_ = 1;
};

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_MASK_GRID_H_
