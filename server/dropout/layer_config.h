// What a layer is: the options that a client gives it.
#ifndef DROPOUTD_SERVER_DROPOUT_LAYER_CONFIG_H_
#define DROPOUTD_SERVER_DROPOUT_LAYER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/dropout/schedule.h"

namespace dropoutd {

enum class Mode : std::uint8_t { kTrain, kEval };
enum class Generator : std::uint8_t { kPhilox, kNumpyLegacy };
enum class Scaling : std::uint8_t { kInverted, kNone, kEval };

// A sequential generator's masks cannot be made again from their coordinates.
constexpr bool IsSequential(Generator generator) { return generator == Generator::kNumpyLegacy; }

// The options of each variant, with the proto's defaults. Their meaning and ranges stand in
// layer.proto; `layer_validation.h` checks them. An axis is in [-8, 7], negative from the last.

// Bernoulli dropout (Srivastava et al., 2014).
struct DropoutOptions {
  std::vector<std::int32_t> broadcast_axes;  // None twice.

  friend bool operator==(const DropoutOptions&, const DropoutOptions&) = default;
};

// Gaussian dropout (Srivastava et al., 2014, section 10).
struct GaussianOptions {
  std::vector<std::int32_t> broadcast_axes;  // None twice.

  friend bool operator==(const GaussianOptions&, const GaussianOptions&) = default;
};

// Alpha dropout (Klambauer et al., 2017).
struct AlphaOptions {
  friend bool operator==(const AlphaOptions&, const AlphaOptions&) = default;
};

struct FeatureAlphaOptions {
  std::int32_t channel_axis = 1;

  friend bool operator==(const FeatureAlphaOptions&, const FeatureAlphaOptions&) = default;
};

// Spatial dropout (Tompson et al., 2015).
struct SpatialOptions {
  std::int32_t channel_axis = 1;

  friend bool operator==(const SpatialOptions&, const SpatialOptions&) = default;
};

// DropBlock (Ghiasi et al., 2018).
struct DropBlockOptions {
  enum class Gamma : std::uint8_t { kExact, kPaper };
  enum class Normalization : std::uint8_t { kSample, kBatch };

  std::vector<std::int64_t> block_size = {7};  // One for all spatial axes, or one for each.
  std::int32_t channel_axis = 1;
  Gamma gamma = Gamma::kExact;
  Normalization normalization = Normalization::kSample;
  bool share_channels = false;

  friend bool operator==(const DropBlockOptions&, const DropBlockOptions&) = default;
};

// Concrete dropout (Gal et al., 2017).
struct ConcreteOptions {
  double temperature = 0.1;
  double weight_regularizer = 0.0;
  double dropout_regularizer = 0.0;
  bool spatial = false;  // One draw a (sample, channel), channels on axis 1.

  friend bool operator==(const ConcreteOptions&, const ConcreteOptions&) = default;
};

// DropConnect (Wan et al., 2013).
struct DropConnectOptions {
  enum class Scope : std::uint8_t { kSample, kBatch };
  enum class Target : std::uint8_t { kLinear, kWeights };

  std::int64_t in_features = 0;
  std::int64_t out_features = 0;
  bool bias = true;
  Scope mask_scope = Scope::kSample;
  Target target = Target::kLinear;

  friend bool operator==(const DropConnectOptions&, const DropConnectOptions&) = default;
};

// Variational dropout (Gal and Ghahramani, 2016).
struct VariationalOptions {
  std::optional<std::int32_t> time_axis;

  friend bool operator==(const VariationalOptions&, const VariationalOptions&) = default;
};

// Dropout on a recurrent path (Gal and Ghahramani, 2016; Semeniuta et al., 2016).
struct RecurrentOptions {
  enum class Scope : std::uint8_t { kSequence, kStep };

  Scope mask_scope = Scope::kSequence;

  friend bool operator==(const RecurrentOptions&, const RecurrentOptions&) = default;
};

// Stochastic depth (Huang et al., 2016), LayerDrop (Fan et al., 2020).
struct StochasticDepthOptions {
  enum class DepthMode : std::uint8_t { kRow, kBatch };

  DepthMode mode = DepthMode::kRow;
  std::int64_t depth_index = 0;
  std::int64_t depth_count = 0;  // 0: no decay.

  friend bool operator==(const StochasticDepthOptions&, const StochasticDepthOptions&) = default;
};

// In the order of the rows of variant.h.
using VariantOptions =
    std::variant<DropoutOptions, GaussianOptions, AlphaOptions, FeatureAlphaOptions, SpatialOptions,
                 DropBlockOptions, ConcreteOptions, DropConnectOptions, VariationalOptions,
                 RecurrentOptions, StochasticDepthOptions>;

// A layer's configuration. Immutable once validated, so that threads share it freely.
struct LayerConfig {
  std::string layer_id;
  std::optional<Mode> mode;  // Nothing: the session's.
  double p = 0.0;            // Probability of a drop, in [0, 1); unused with a schedule.
  Generator generator = Generator::kPhilox;
  Scaling scaling = Scaling::kInverted;
  Schedule schedule;
  VariantOptions options;

  friend bool operator==(const LayerConfig&, const LayerConfig&) = default;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_LAYER_CONFIG_H_
