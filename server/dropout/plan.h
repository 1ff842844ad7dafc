// What a layer does to one tensor: everything that its bytes depend on, worked out before
// a byte is touched.
#ifndef DROPOUTD_SERVER_DROPOUT_PLAN_H_
#define DROPOUTD_SERVER_DROPOUT_PLAN_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/noise_layout.h"
#include "server/dropout/shape.h"
#include "server/kernels/bernoulli_bits.h"

namespace dropoutd {

// Where a draw stands: the coordinates of docs/mask-format.md besides the layer's own.
struct Coordinates {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::int64_t sample_offset = 0;
};

// y = x, y = x * scale, or y = bit ? x * scale : +0.
enum class Action : std::uint8_t { kCopy, kScale, kMask };

// A value; no allocation.
struct Plan {
  Action action = Action::kCopy;
  double scale = 1.0;  // In float64; rounded once to the compute type when applied.
  NoiseLayout layout;
  kernels::BernoulliStream stream;  // Only for kMask with a counter-based generator.
};

// The p that the layer drops with.
double DropProbability(const LayerConfig& config);

// The plan for a tensor of `shape` in `mode` with drop probability `p`. Errors:
// MakeNoiseLayout's. A pure function; thread-safe.
absl::StatusOr<Plan> MakePlan(const LayerConfig& config, Mode mode, double p,
                              const Coordinates& at, const Shape& shape);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_PLAN_H_
