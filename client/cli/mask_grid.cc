#include "client/cli/mask_grid.h"

#include <vector>

#include "client/cli/elements.h"

namespace dropout::cli {

MaskGrid::MaskGrid(const Mask& mask) : mask_(mask) {
  if (mask.shape.empty()) return;
  columns_ = static_cast<std::size_t>(mask.shape.back());
  // The product of the leading sizes may overflow where the last one is 0.
  const std::vector<std::int64_t> leading(mask.shape.begin(), mask.shape.end() - 1);
  rows_ = columns_ == 0 ? 0 : *ElementCount(leading);
}

double MaskGrid::Multiplier(std::size_t row, std::size_t column) const {
  if (has_bits()) return Kept(row, column) ? 1 : 0;
  return ElementAt(*mask_.multipliers, row * columns_ + column);
}

std::size_t MaskGrid::KeptCount() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < size(); ++i) count += mask_.Kept(i) ? 1 : 0;
  return count;
}

double MaskGrid::KeptShare() const {
  return size() == 0 ? 0.0 : static_cast<double>(KeptCount()) / static_cast<double>(size());
}

}  // namespace dropout::cli
