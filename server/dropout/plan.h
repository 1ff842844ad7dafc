// What a layer does to one tensor: everything that its bytes depend on, worked out before
// a byte is touched.
#ifndef DROPOUTD_SERVER_DROPOUT_PLAN_H_
#define DROPOUTD_SERVER_DROPOUT_PLAN_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "server/dropout/drop_block.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/noise_layout.h"
#include "server/dropout/parameters.h"
#include "server/dropout/shape.h"
#include "server/dropout/variant.h"
#include "server/kernels/bernoulli_bits.h"

namespace dropoutd {

// Where a draw stands: the coordinates of docs/mask-format.md besides the layer's own.
struct Coordinates {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::int64_t sample_offset = 0;
  std::uint64_t sequence_id = 0;  // Only where the layer is keyed by sequence.
};

// How strongly a layer drops.
struct DropRate {
  DropRate(double p_in = 0.0) : p(p_in), q(1.0 - p_in) {}  // NOLINT: a rate is a p.

  double p;              // In [0, 1); a learned one may round to 1.
  double q;              // 1 - p; for a learned p, without its cancellation.
  double logit_p = 0.0;  // Only where p is learned.
};

enum class Action : std::uint8_t {
  kCopy,      // y = x
  kScale,     // y = x * scale
  kMask,      // y = bit ? x * scale : +0
  kAlpha,     // y = bit ? x * scale + shift : dropped
  kBlock,     // y = bit ? x * (the sample's scale) : +0
  kMultiply,  // y = x * multiplier
  kLinear,    // y = (mask * W) x * scale + bias
};

// A linear layer's sizes, and what its masks are shared by.
struct LinearLayout {
  std::int64_t rows = 0;             // Of the input, seen as a matrix [rows, in_features].
  std::int64_t rows_per_sample = 1;  // Rows that have one mask; for one mask in all, `rows`.
  std::int64_t in_features = 0;
  std::int64_t out_features = 0;
  bool has_bias = false;
  bool is_masked = false;  // In train, with p > 0.
};

// A value; no allocation.
struct Plan {
  Action action = Action::kCopy;
  double scale = 1.0;  // In float64; rounded once to the compute type when applied.
  double shift = 0.0;
  double dropped = 0.0;
  DropRate rate;
  NoiseLaw law = NoiseLaw::kBernoulli;
  double temperature = 1.0;         // Of relaxed Bernoulli noise.
  NoiseLayout layout;               // The input, and its noise.
  Shape output;                     // Of the answer: the input's, but for kLinear.
  Shape mask_shape;                 // As GetMask tells it: the noise's, but for drop_connect.
  kernels::BernoulliStream stream;  // Unless nothing is drawn, or from a sequential generator.
  BlockLayout blocks;               // For kBlock.
  LinearLayout linear;              // For kLinear.

  // Whether random numbers are drawn.
  bool Draws() const {
    return action == Action::kMask || action == Action::kAlpha || action == Action::kBlock ||
           action == Action::kMultiply || (action == Action::kLinear && linear.is_masked);
  }

  // Whether the noise is bits.
  bool IsBinary() const { return action != Action::kMultiply; }

  // Whether the gradient is one of the input's values too.
  bool NeedsInput() const {
    return action == Action::kLinear ||
           (action == Action::kMultiply && law == NoiseLaw::kRelaxedBernoulli);
  }

  // What the gradient gets: dx = scale * dy where y = scale * x + shift.
  Plan Gradient() const;
};

// The rate of the layer at `step` (nothing: step 0): its own, its schedule's, or, where p is
// learned, that of `parameters`; with stochastic depth's decay.
DropRate RateAt(const LayerConfig& config, std::optional<std::uint64_t> step,
                const Parameters& parameters);

// Whether the layer can have such a rate: for one that was not made here.
bool IsRateOf(const LayerConfig& config, const DropRate& rate);

// Shape of the input whose answer has shape `output`: the same, but for a linear layer.
// INVALID_TENSOR for a shape that it cannot answer with.
absl::StatusOr<Shape> InputShape(const LayerConfig& config, const Shape& output);

// The plan for a tensor of `shape` in `mode`. Errors: those of MakeNoiseLayout, SharedAxesOf and
// MakeBlockLayout; INVALID_TENSOR for a shape that a linear layer cannot multiply. A pure
// function; thread-safe.
absl::StatusOr<Plan> MakePlan(const LayerConfig& config, Mode mode, const DropRate& rate,
                              const Coordinates& at, const Shape& shape);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_PLAN_H_
