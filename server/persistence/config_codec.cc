#include "server/persistence/config_codec.h"

#include <optional>
#include <type_traits>
#include <variant>

#include "server/base/status_macros.h"
#include "server/persistence/stored_value.h"

namespace dropoutd {
namespace {

using stored::StoredConfig;

// Enums have the same numbers on both sides; here those that variants do not bring themselves.
static_assert(static_cast<int>(Mode::kEval) == stored::MODE_EVAL);
static_assert(static_cast<int>(Generator::kNumpyLegacy) == stored::GENERATOR_NUMPY_LEGACY);
static_assert(static_cast<int>(Scaling::kNone) == stored::SCALING_NONE &&
              static_cast<int>(Scaling::kEval) == stored::SCALING_EVAL);

template <typename To, typename From>
To Number(From value) {
  return static_cast<To>(value);
}

void Put(const std::monostate&, StoredConfig& config) { config.clear_schedule(); }

void PutRamp(const auto& ramp, stored::StoredRamp& to) {
  to.set_start_p(ramp.start_p);
  to.set_end_p(ramp.end_p);
  to.set_start_step(ramp.start_step);
  to.set_end_step(ramp.end_step);
}

void Put(const LinearSchedule& s, StoredConfig& config) { PutRamp(s, *config.mutable_linear()); }

void Put(const CosineSchedule& s, StoredConfig& config) { PutRamp(s, *config.mutable_cosine()); }

void Put(const CurriculumSchedule& s, StoredConfig& config) {
  config.mutable_curriculum()->set_end_p(s.end_p);
  config.mutable_curriculum()->set_gamma(s.gamma);
}

void Put(const PiecewiseSchedule& s, StoredConfig& config) {
  auto& to = *config.mutable_piecewise();
  to.mutable_boundaries()->Assign(s.boundaries.begin(), s.boundaries.end());
  to.mutable_values()->Assign(s.values.begin(), s.values.end());
}

void PutAxes(const auto& options, stored::StoredAxes& to) {
  to.mutable_broadcast_axes()->Assign(options.broadcast_axes.begin(), options.broadcast_axes.end());
}

void Put(const DropoutOptions& o, StoredConfig& config) { PutAxes(o, *config.mutable_dropout()); }

void Put(const GaussianOptions& o, StoredConfig& config) { PutAxes(o, *config.mutable_gaussian()); }

void Put(const AlphaOptions&, StoredConfig& config) { config.mutable_alpha(); }

void Put(const FeatureAlphaOptions& o, StoredConfig& config) {
  config.mutable_feature_alpha()->set_channel_axis(o.channel_axis);
}

void Put(const SpatialOptions& o, StoredConfig& config) {
  config.mutable_spatial()->set_channel_axis(o.channel_axis);
}

void Put(const DropBlockOptions& o, StoredConfig& config) {
  using To = stored::StoredDropBlock;
  To& to = *config.mutable_drop_block();
  to.mutable_block_size()->Assign(o.block_size.begin(), o.block_size.end());
  to.set_channel_axis(o.channel_axis);
  to.set_gamma(Number<To::Gamma>(o.gamma));
  to.set_normalization(Number<To::Normalization>(o.normalization));
  to.set_share_channels(o.share_channels);
}

void Put(const ConcreteOptions& o, StoredConfig& config) {
  auto& to = *config.mutable_concrete();
  to.set_temperature(o.temperature);
  to.set_weight_regularizer(o.weight_regularizer);
  to.set_dropout_regularizer(o.dropout_regularizer);
  to.set_spatial(o.spatial);
}

void Put(const DropConnectOptions& o, StoredConfig& config) {
  using To = stored::StoredDropConnect;
  To& to = *config.mutable_drop_connect();
  to.set_in_features(o.in_features);
  to.set_out_features(o.out_features);
  to.set_bias(o.bias);
  to.set_mask_scope(Number<To::Scope>(o.mask_scope));
  to.set_target(Number<To::Target>(o.target));
}

void Put(const VariationalOptions& o, StoredConfig& config) {
  auto& to = *config.mutable_variational();
  to.clear_time_axis();
  if (o.time_axis.has_value()) to.set_time_axis(*o.time_axis);
}

void Put(const RecurrentOptions& o, StoredConfig& config) {
  config.mutable_recurrent()->set_mask_scope(Number<stored::StoredRecurrent::Scope>(o.mask_scope));
}

void Put(const StochasticDepthOptions& o, StoredConfig& config) {
  auto& to = *config.mutable_stochastic_depth();
  to.set_mode(Number<stored::StoredDepth::DepthMode>(o.mode));
  to.set_depth_index(o.depth_index);
  to.set_depth_count(o.depth_count);
}

// Reads one configuration; remembers whether all enums have values that it knows.
class ConfigReader {
 public:
  explicit ConfigReader(const StoredConfig& from) : from_(from) {}

  absl::StatusOr<LayerConfig> Read() {
    LayerConfig config;
    config.layer_id = from_.layer_id();
    if (from_.has_mode()) config.mode = Enum<Mode>(from_.mode(), stored::Mode_MAX);
    config.p = from_.p();
    config.generator = Enum<Generator>(from_.generator(), stored::Generator_MAX);
    config.scaling = Enum<Scaling>(from_.scaling(), stored::Scaling_MAX);
    config.schedule = ReadSchedule();
    if (from_.options_case() == StoredConfig::OPTIONS_NOT_SET) {
      // A variant that is not known is a field that is not.
      const bool is_whole = from_.GetReflection()->GetUnknownFields(from_).empty();
      return is_whole ? StoredDamaged("a layer") : StoredNewer("a layer");
    }
    config.options = ReadOptions();
    if (!knows_all_) return StoredNewer("a layer");
    return config;
  }

 private:
  // `most`: the last value that is known; they begin at 0.
  template <typename To, typename From>
  To Enum(From value, From most) {
    knows_all_ = knows_all_ && value >= 0 && value <= most;
    return static_cast<To>(value);
  }

  template <typename Ramp>
  static Ramp RampOf(const stored::StoredRamp& from) {
    return {from.start_p(), from.end_p(), from.start_step(), from.end_step()};
  }

  Schedule ReadSchedule() const {
    switch (from_.schedule_case()) {
      case StoredConfig::kLinear:
        return RampOf<LinearSchedule>(from_.linear());
      case StoredConfig::kCosine:
        return RampOf<CosineSchedule>(from_.cosine());
      case StoredConfig::kCurriculum:
        return CurriculumSchedule{from_.curriculum().end_p(), from_.curriculum().gamma()};
      case StoredConfig::kPiecewise: {
        const auto& piecewise = from_.piecewise();
        return PiecewiseSchedule{{piecewise.boundaries().begin(), piecewise.boundaries().end()},
                                 {piecewise.values().begin(), piecewise.values().end()}};
      }
      case StoredConfig::SCHEDULE_NOT_SET:
        break;
    }
    return {};
  }

  template <typename Options>
  static Options AxesOf(const stored::StoredAxes& from) {
    return {{from.broadcast_axes().begin(), from.broadcast_axes().end()}};
  }

  VariantOptions ReadOptions() {
    switch (from_.options_case()) {
      case StoredConfig::kGaussian:
        return AxesOf<GaussianOptions>(from_.gaussian());
      case StoredConfig::kAlpha:
        return AlphaOptions{};
      case StoredConfig::kFeatureAlpha:
        return FeatureAlphaOptions{from_.feature_alpha().channel_axis()};
      case StoredConfig::kSpatial:
        return SpatialOptions{from_.spatial().channel_axis()};
      case StoredConfig::kDropBlock:
        return ReadDropBlock(from_.drop_block());
      case StoredConfig::kConcrete: {
        const auto& concrete = from_.concrete();
        return ConcreteOptions{concrete.temperature(), concrete.weight_regularizer(),
                               concrete.dropout_regularizer(), concrete.spatial()};
      }
      case StoredConfig::kDropConnect:
        return ReadDropConnect(from_.drop_connect());
      case StoredConfig::kVariational:
        return from_.variational().has_time_axis()
                   ? VariationalOptions{from_.variational().time_axis()}
                   : VariationalOptions{};
      case StoredConfig::kRecurrent:
        return RecurrentOptions{Enum<RecurrentOptions::Scope>(from_.recurrent().mask_scope(),
                                                              stored::StoredRecurrent::Scope_MAX)};
      case StoredConfig::kStochasticDepth: {
        const auto& depth = from_.stochastic_depth();
        using Depth = StochasticDepthOptions::DepthMode;
        return StochasticDepthOptions{Enum<Depth>(depth.mode(), stored::StoredDepth::DepthMode_MAX),
                                      depth.depth_index(), depth.depth_count()};
      }
      case StoredConfig::kDropout:
      case StoredConfig::OPTIONS_NOT_SET:
        break;
    }
    return AxesOf<DropoutOptions>(from_.dropout());
  }

  DropBlockOptions ReadDropBlock(const stored::StoredDropBlock& from) {
    using From = stored::StoredDropBlock;
    using To = DropBlockOptions;
    return {{from.block_size().begin(), from.block_size().end()},
            from.channel_axis(),
            Enum<To::Gamma>(from.gamma(), From::Gamma_MAX),
            Enum<To::Normalization>(from.normalization(), From::Normalization_MAX),
            from.share_channels()};
  }

  DropConnectOptions ReadDropConnect(const stored::StoredDropConnect& from) {
    using From = stored::StoredDropConnect;
    using To = DropConnectOptions;
    return {from.in_features(), from.out_features(), from.bias(),
            Enum<To::Scope>(from.mask_scope(), From::Scope_MAX),
            Enum<To::Target>(from.target(), From::Target_MAX)};
  }

  const StoredConfig& from_;
  bool knows_all_ = true;
};

}  // namespace

void PutConfig(const LayerConfig& config, StoredConfig& stored) {
  stored.clear_mode();
  if (config.mode.has_value()) stored.set_mode(Number<stored::Mode>(*config.mode));
  stored.set_p(config.p);
  stored.set_generator(Number<stored::Generator>(config.generator));
  stored.set_scaling(Number<stored::Scaling>(config.scaling));
  const auto put = [&stored](const auto& each) { Put(each, stored); };
  std::visit(put, config.schedule);
  std::visit(put, config.options);
}

absl::StatusOr<LayerConfig> ConfigOf(const StoredConfig& stored) {
  return ConfigReader(stored).Read();
}

}  // namespace dropoutd
