// Structure of the noise: which elements of a tensor share one draw, and the index that
// each draw has (docs/mask-format.md, section 2).
#ifndef DROPOUTD_SERVER_DROPOUT_NOISE_LAYOUT_H_
#define DROPOUTD_SERVER_DROPOUT_NOISE_LAYOUT_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "server/dropout/shape.h"

namespace dropoutd {

struct NoiseLayout {
  Shape tensor;
  Shape noise;                    // The tensor's, with size 1 on shared axes.
  std::uint64_t first_index = 0;  // Index of the noise's first element.

  // Whether noise element i is tensor element i.
  bool IsElementwise() const { return noise == tensor; }
};

// The layout with one draw for all elements along `shared_axes` (negative: from the last
// axis). INVALID_LAYER for an axis that the tensor does not have, or that is named twice
// (0 and -2 are one axis at rank 2); INVALID_TENSOR for a sample_offset below 0, or so large
// that an index would pass 2^63.
absl::StatusOr<NoiseLayout> MakeNoiseLayout(const Shape& tensor,
                                            std::span<const std::int32_t> shared_axes,
                                            std::int64_t sample_offset);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_NOISE_LAYOUT_H_
