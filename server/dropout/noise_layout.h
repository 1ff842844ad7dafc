// Layout of the noise: its shape, and the index that each draw has (docs/mask-format.md,
// section 2).
#ifndef DROPOUTD_SERVER_DROPOUT_NOISE_LAYOUT_H_
#define DROPOUTD_SERVER_DROPOUT_NOISE_LAYOUT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/dropout/shape.h"
#include "server/dropout/shared_axes.h"

namespace dropoutd {

struct NoiseLayout {
  Shape tensor;
  Shape noise;                    // The tensor's, with size 1 on shared axes.
  std::uint64_t first_index = 0;  // Index of the noise's first element.

  // Whether noise element i is tensor element i.
  bool IsElementwise() const { return noise == tensor; }
};

// The layout of axis-wise noise. INVALID_TENSOR for a sample_offset below 0, or so large that
// an index would pass 2^63 - 1.
absl::StatusOr<NoiseLayout> MakeNoiseLayout(const Shape& tensor, const SharedAxes& shared,
                                            std::int64_t sample_offset);

// Index of the first draw of a tensor whose first sample is number `sample_offset`, where a
// sample has `sample_size` draws. Errors as above.
absl::StatusOr<std::uint64_t> FirstIndex(std::int64_t sample_offset, std::int64_t samples,
                                         std::int64_t sample_size);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_NOISE_LAYOUT_H_
