#include "server/dropout/shape.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/checked_math.h"
#include "server/base/error.h"

namespace dropoutd {

absl::StatusOr<Shape> Shape::Make(std::span<const std::int64_t> sizes) {
  if (sizes.size() > kMaxRank) return RankError(sizes.size());
  Shape shape;
  std::int64_t product = 1;
  for (const std::int64_t size : sizes) {
    if (size < 0) {
      return MakeError(
          Reason::kInvalidTensor,
          absl::StrCat("shape: axis ", shape.rank(), " has size ", size, ", must be 0 or more"));
    }
    const auto next = CheckedMultiply(product, std::max<std::int64_t>(size, 1));
    if (!next.has_value()) {
      return MakeError(Reason::kInvalidTensor,
                       absl::StrCat("shape: [", absl::StrJoin(sizes, ", "),
                                    "] has too many elements, must be below 2^63"));
    }
    product = *next;
    shape.sizes_[shape.rank_++] = size;
  }
  return shape;
}

absl::Status Shape::RankError(std::size_t rank) {
  return MakeError(Reason::kInvalidTensor, absl::StrCat("shape: rank ", rank, ", must be 0 to 8"));
}

std::int64_t Shape::ElementCount() const {
  std::int64_t count = 1;
  for (const std::int64_t size : sizes()) count *= size;
  return count;
}

bool Shape::Takes(std::size_t byte_size, std::int64_t element_size) const {
  const auto size = CheckedMultiply(ElementCount(), element_size);
  return size.has_value() && static_cast<std::size_t>(*size) == byte_size;
}

Shape Shape::WithOnes(unsigned axes) const {
  Shape shape = *this;
  for (int axis = 0; axis < rank(); ++axis) {
    if ((axes >> axis & 1) != 0) shape.sizes_[static_cast<std::size_t>(axis)] = 1;
  }
  return shape;
}

std::string Shape::ToString() const { return absl::StrCat("[", absl::StrJoin(sizes(), ", "), "]"); }

}  // namespace dropoutd
