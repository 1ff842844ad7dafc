#include "server/dropout/layer_validation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/checked_math.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/dropout/shape.h"
#include "server/dropout/variant.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMaxLayerIdBytes = 128;
constexpr std::size_t kMaxSpatialAxes = 3;

absl::Status Invalid(std::string_view message) { return MakeError(Reason::kInvalidLayer, message); }

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status ValidateLayerId(const std::string& id) {
  if (id.empty() || id.size() > kMaxLayerIdBytes) {
    return Invalid(
        absl::StrCat("layer_id: ", id.size(), " bytes long, must be 1 to ", kMaxLayerIdBytes));
  }
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::any_of(id.begin(), id.end(), is_control)) {
    return Invalid("layer_id: has a control character, must be printable");
  }
  return absl::OkStatus();
}

absl::Status CheckAxis(const char* field, std::int32_t axis) {
  if (axis >= -Shape::kMaxRank && axis < Shape::kMaxRank) return absl::OkStatus();
  return Invalid(absl::StrCat(field, ": ", axis, ", must be in [-8, 7]"));
}

absl::Status CheckChannelAxis(const char* field, std::int32_t axis) {
  DROPOUTD_RETURN_IF_ERROR(CheckAxis(field, axis));
  if (axis != 0) return absl::OkStatus();
  return Invalid(absl::StrCat(field, ": 0, which is the batch axis"));
}

absl::Status CheckBroadcastAxes(const char* field, const std::vector<std::int32_t>& axes) {
  for (auto axis = axes.begin(); axis != axes.end(); ++axis) {
    DROPOUTD_RETURN_IF_ERROR(CheckAxis(field, *axis));
    if (std::find(axes.begin(), axis, *axis) != axis) {
      return Invalid(absl::StrCat(field, ": ", *axis, " is there twice"));
    }
  }
  return absl::OkStatus();
}

// Written so that NaN fails.
absl::Status CheckNotNegative(const char* field, double value) {
  if (value >= 0.0 && std::isfinite(value)) return absl::OkStatus();
  return Invalid(absl::StrCat(field, ": ", value, ", must be 0 or more and finite"));
}

absl::Status ValidateOptions(const DropoutOptions& options) {
  return CheckBroadcastAxes("dropout.broadcast_axes", options.broadcast_axes);
}

absl::Status ValidateOptions(const GaussianOptions& options) {
  return CheckBroadcastAxes("gaussian.broadcast_axes", options.broadcast_axes);
}

absl::Status ValidateOptions(const AlphaOptions&) { return absl::OkStatus(); }

absl::Status ValidateOptions(const FeatureAlphaOptions& options) {
  return CheckChannelAxis("feature_alpha.channel_axis", options.channel_axis);
}

absl::Status ValidateOptions(const SpatialOptions& options) {
  return CheckChannelAxis("spatial.channel_axis", options.channel_axis);
}

absl::Status ValidateOptions(const DropBlockOptions& options) {
  if (options.block_size.empty() || options.block_size.size() > kMaxSpatialAxes) {
    return Invalid(absl::StrCat("drop_block.block_size: ", options.block_size.size(),
                                " numbers, must be one, or one for each of 1 to 3 spatial axes"));
  }
  for (const std::int64_t size : options.block_size) {
    if (size < 1) {
      return Invalid(absl::StrCat("drop_block.block_size: ", size, ", must be 1 or more"));
    }
  }
  return CheckChannelAxis("drop_block.channel_axis", options.channel_axis);
}

absl::Status ValidateOptions(const ConcreteOptions& options) {
  // The lower end keeps 1 / temperature far from overflow; the paper uses 0.1.
  constexpr double kMinTemperature = 1e-3;
  constexpr double kMaxTemperature = 1e3;
  if (!(options.temperature >= kMinTemperature && options.temperature <= kMaxTemperature)) {
    return Invalid(
        absl::StrCat("concrete.temperature: ", options.temperature, ", must be in [0.001, 1000]"));
  }
  DROPOUTD_RETURN_IF_ERROR(
      CheckNotNegative("concrete.weight_regularizer", options.weight_regularizer));
  return CheckNotNegative("concrete.dropout_regularizer", options.dropout_regularizer);
}

absl::Status ValidateOptions(const DropConnectOptions& options) {
  // With WEIGHTS the input tells the sizes; where they are given they must fit it.
  const std::int64_t least = options.target == DropConnectOptions::Target::kLinear ? 1 : 0;
  const auto check = [&](const char* field, std::int64_t size) -> absl::Status {
    if (size >= least) return absl::OkStatus();
    return Invalid(
        absl::StrCat("drop_connect.", field, ": ", size, ", must be ", least, " or more"));
  };
  DROPOUTD_RETURN_IF_ERROR(check("in_features", options.in_features));
  DROPOUTD_RETURN_IF_ERROR(check("out_features", options.out_features));
  // So that the weight's size in bytes, and products with small numbers, fit.
  constexpr std::int64_t kMaxWeights = std::int64_t{1} << 40;
  const auto weights = CheckedMultiply(options.in_features, options.out_features);
  if (weights.has_value() && *weights <= kMaxWeights) return absl::OkStatus();
  return Invalid(absl::StrCat("drop_connect.out_features: ", options.out_features, " with ",
                              options.in_features, " in_features, must be at most 2^40 weights"));
}

absl::Status ValidateOptions(const VariationalOptions& options) {
  if (!options.time_axis.has_value()) return absl::OkStatus();
  return CheckAxis("variational.time_axis", *options.time_axis);
}

absl::Status ValidateOptions(const RecurrentOptions&) { return absl::OkStatus(); }

absl::Status ValidateOptions(const StochasticDepthOptions& options) {
  if (options.depth_count < 0) {
    return Invalid(
        absl::StrCat("stochastic_depth.depth_count: ", options.depth_count, ", must be 0 or more"));
  }
  if (options.depth_count == 0) {
    if (options.depth_index == 0) return absl::OkStatus();
    return Invalid(absl::StrCat("stochastic_depth.depth_index: ", options.depth_index,
                                ", must be 0 where depth_count is not set"));
  }
  if (options.depth_index >= 1 && options.depth_index <= options.depth_count) {
    return absl::OkStatus();
  }
  return Invalid(absl::StrCat("stochastic_depth.depth_index: ", options.depth_index,
                              ", must be in [1, ", options.depth_count, "]"));
}

// What of the layer's own fields its variant can use.
absl::Status ValidateCombination(const LayerConfig& config) {
  const VariantRow& row = RowOf(config);
  if (config.scaling != Scaling::kInverted && row.scaling != ScalingRule::kOfLayer) {
    return Invalid(absl::StrCat("scaling: ", View(row.name),
                                " has a scaling of its own, must be INVERTED or unset"));
  }
  if (IsSequential(config.generator) &&
      (row.law != NoiseLaw::kBernoulli || row.structure != Structure::kAxes ||
       IsSequenceKeyed(config))) {
    return Invalid(absl::StrCat("generator: NUMPY_LEGACY does not draw the noise of ",
                                View(row.name), ", must be PHILOX or unset"));
  }
  if (HasSchedule(config.schedule) && LearnsP(config)) {
    return Invalid(absl::StrCat("schedule: ", View(row.name), " learns p, must be unset"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const LayerConfig& config) {
  DROPOUTD_RETURN_IF_ERROR(ValidateLayerId(config.layer_id));
  // Written so that NaN fails.
  if (!HasSchedule(config.schedule) && !(config.p >= 0.0 && config.p < 1.0)) {
    return Invalid(absl::StrCat("p: ", config.p, ", must be in [0, 1)"));
  }
  DROPOUTD_RETURN_IF_ERROR(Validate(config.schedule));
  DROPOUTD_RETURN_IF_ERROR(
      std::visit([](const auto& options) { return ValidateOptions(options); }, config.options));
  return ValidateCombination(config);
}

}  // namespace dropoutd
