#include "server/service/convert_layer.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <variant>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

absl::Status InvalidLayer(std::string_view message) {
  return MakeError(Reason::kInvalidLayer, message);
}

// One of an enum's values on the wire, and ours.
template <typename Wire, typename Ours>
struct EnumPair {
  Wire wire;
  Ours ours;
};

// `unset`: what 0, the unspecified value, means.
template <typename Wire, typename Ours>
absl::StatusOr<Ours> FromEnum(const char* field, Wire value, Ours unset,
                              std::initializer_list<EnumPair<Wire, Ours>> pairs) {
  if (static_cast<int>(value) == 0) return unset;
  for (const auto& pair : pairs) {
    if (pair.wire == value) return pair.ours;
  }
  return InvalidLayer(
      absl::StrCat(field, ": ", static_cast<int>(value), ", must be a value that it can have"));
}

template <typename Wire, typename Ours>
Wire ToEnum(Ours value, std::initializer_list<EnumPair<Wire, Ours>> pairs) {
  for (const auto& pair : pairs) {
    if (pair.ours == value) return pair.wire;
  }
  return pairs.begin()->wire;
}

using GeneratorPairs = std::initializer_list<EnumPair<v1::Generator, Generator>>;
constexpr GeneratorPairs kGenerators = {{v1::GENERATOR_PHILOX, Generator::kPhilox},
                                        {v1::GENERATOR_NUMPY_LEGACY, Generator::kNumpyLegacy}};

using ScalingPairs = std::initializer_list<EnumPair<v1::Scaling, Scaling>>;
constexpr ScalingPairs kScalings = {{v1::SCALING_INVERTED, Scaling::kInverted},
                                    {v1::SCALING_NONE, Scaling::kNone},
                                    {v1::SCALING_EVAL, Scaling::kEval}};

using GammaPairs = std::initializer_list<EnumPair<v1::Gamma, DropBlockOptions::Gamma>>;
constexpr GammaPairs kGammas = {{v1::GAMMA_EXACT, DropBlockOptions::Gamma::kExact},
                                {v1::GAMMA_PAPER, DropBlockOptions::Gamma::kPaper}};

using NormalizationPairs =
    std::initializer_list<EnumPair<v1::Normalization, DropBlockOptions::Normalization>>;
constexpr NormalizationPairs kNormalizations = {
    {v1::NORMALIZATION_SAMPLE, DropBlockOptions::Normalization::kSample},
    {v1::NORMALIZATION_BATCH, DropBlockOptions::Normalization::kBatch}};

using ConnectScopePairs = std::initializer_list<EnumPair<v1::MaskScope, DropConnectOptions::Scope>>;
constexpr ConnectScopePairs kConnectScopes = {
    {v1::MASK_SCOPE_SAMPLE, DropConnectOptions::Scope::kSample},
    {v1::MASK_SCOPE_BATCH, DropConnectOptions::Scope::kBatch}};

using ConnectTargetPairs =
    std::initializer_list<EnumPair<v1::ConnectTarget, DropConnectOptions::Target>>;
constexpr ConnectTargetPairs kConnectTargets = {
    {v1::CONNECT_TARGET_LINEAR, DropConnectOptions::Target::kLinear},
    {v1::CONNECT_TARGET_WEIGHTS, DropConnectOptions::Target::kWeights}};

using RecurrentScopePairs = std::initializer_list<EnumPair<v1::MaskScope, RecurrentOptions::Scope>>;
constexpr RecurrentScopePairs kRecurrentScopes = {
    {v1::MASK_SCOPE_SEQUENCE, RecurrentOptions::Scope::kSequence},
    {v1::MASK_SCOPE_STEP, RecurrentOptions::Scope::kStep}};

using DepthModePairs =
    std::initializer_list<EnumPair<v1::DepthMode, StochasticDepthOptions::DepthMode>>;
constexpr DepthModePairs kDepthModes = {
    {v1::DEPTH_MODE_ROW, StochasticDepthOptions::DepthMode::kRow},
    {v1::DEPTH_MODE_BATCH, StochasticDepthOptions::DepthMode::kBatch}};

// --- Variants, from and to their messages -------------------------------------------------

using Converted = absl::StatusOr<VariantOptions>;

Converted Options(const v1::Dropout& m) {
  return DropoutOptions{{m.broadcast_axes().begin(), m.broadcast_axes().end()}};
}

Converted Options(const v1::Gaussian& m) {
  return GaussianOptions{{m.broadcast_axes().begin(), m.broadcast_axes().end()}};
}

Converted Options(const v1::Alpha&) { return AlphaOptions{}; }

template <typename Result, typename Message>
Result WithChannelAxis(const Message& m) {
  Result options;
  if (m.has_channel_axis()) options.channel_axis = m.channel_axis();
  return options;
}

Converted Options(const v1::FeatureAlpha& m) { return WithChannelAxis<FeatureAlphaOptions>(m); }
Converted Options(const v1::Spatial& m) { return WithChannelAxis<SpatialOptions>(m); }

Converted Options(const v1::DropBlock& m) {
  auto options = WithChannelAxis<DropBlockOptions>(m);
  if (m.block_size_size() != 0) options.block_size = {m.block_size().begin(), m.block_size().end()};
  DROPOUTD_ASSIGN_OR_RETURN(options.gamma,
                            FromEnum("drop_block.gamma", m.gamma(), options.gamma, kGammas));
  DROPOUTD_ASSIGN_OR_RETURN(options.normalization,
                            FromEnum("drop_block.normalization", m.normalization(),
                                     options.normalization, kNormalizations));
  options.share_channels = m.share_channels();
  return options;
}

Converted Options(const v1::Concrete& m) {
  ConcreteOptions options;
  options.spatial = m.spatial();
  if (options.spatial) options.temperature = 2.0 / 3.0;
  if (m.has_temperature()) options.temperature = m.temperature();
  options.weight_regularizer = m.weight_regularizer();
  options.dropout_regularizer = m.dropout_regularizer();
  return options;
}

Converted Options(const v1::DropConnect& m) {
  DropConnectOptions options;
  options.in_features = m.in_features();
  options.out_features = m.out_features();
  if (m.has_bias()) options.bias = m.bias();
  DROPOUTD_ASSIGN_OR_RETURN(options.mask_scope, FromEnum("drop_connect.mask_scope", m.mask_scope(),
                                                         options.mask_scope, kConnectScopes));
  DROPOUTD_ASSIGN_OR_RETURN(
      options.target, FromEnum("drop_connect.target", m.target(), options.target, kConnectTargets));
  return options;
}

Converted Options(const v1::Variational& m) {
  VariationalOptions options;
  if (m.has_time_axis()) options.time_axis = m.time_axis();
  return options;
}

Converted Options(const v1::Recurrent& m) {
  RecurrentOptions options;
  DROPOUTD_ASSIGN_OR_RETURN(options.mask_scope, FromEnum("recurrent.mask_scope", m.mask_scope(),
                                                         options.mask_scope, kRecurrentScopes));
  return options;
}

Converted Options(const v1::StochasticDepth& m) {
  StochasticDepthOptions options;
  DROPOUTD_ASSIGN_OR_RETURN(options.mode,
                            FromEnum("stochastic_depth.mode", m.mode(), options.mode, kDepthModes));
  options.depth_index = m.depth_index();
  options.depth_count = m.depth_count();
  return options;
}

Converted ConvertVariant(const v1::Layer& layer) {
  switch (layer.variant_case()) {
    case v1::Layer::kDropout:
      return Options(layer.dropout());
    case v1::Layer::kGaussian:
      return Options(layer.gaussian());
    case v1::Layer::kAlpha:
      return Options(layer.alpha());
    case v1::Layer::kFeatureAlpha:
      return Options(layer.feature_alpha());
    case v1::Layer::kSpatial:
      return Options(layer.spatial());
    case v1::Layer::kDropBlock:
      return Options(layer.drop_block());
    case v1::Layer::kConcrete:
      return Options(layer.concrete());
    case v1::Layer::kDropConnect:
      return Options(layer.drop_connect());
    case v1::Layer::kVariational:
      return Options(layer.variational());
    case v1::Layer::kRecurrent:
      return Options(layer.recurrent());
    case v1::Layer::kStochasticDepth:
      return Options(layer.stochastic_depth());
    case v1::Layer::VARIANT_NOT_SET:
      break;
  }
  return InvalidLayer("variant: not set, must be one of the oneof's fields");
}

void SetOptions(const DropoutOptions& o, v1::Layer& layer) {
  layer.mutable_dropout()->mutable_broadcast_axes()->Assign(o.broadcast_axes.begin(),
                                                            o.broadcast_axes.end());
}

void SetOptions(const GaussianOptions& o, v1::Layer& layer) {
  layer.mutable_gaussian()->mutable_broadcast_axes()->Assign(o.broadcast_axes.begin(),
                                                             o.broadcast_axes.end());
}

void SetOptions(const AlphaOptions&, v1::Layer& layer) { layer.mutable_alpha(); }

void SetOptions(const FeatureAlphaOptions& o, v1::Layer& layer) {
  layer.mutable_feature_alpha()->set_channel_axis(o.channel_axis);
}

void SetOptions(const SpatialOptions& o, v1::Layer& layer) {
  layer.mutable_spatial()->set_channel_axis(o.channel_axis);
}

void SetOptions(const DropBlockOptions& o, v1::Layer& layer) {
  v1::DropBlock& m = *layer.mutable_drop_block();
  m.mutable_block_size()->Assign(o.block_size.begin(), o.block_size.end());
  m.set_channel_axis(o.channel_axis);
  m.set_gamma(ToEnum(o.gamma, kGammas));
  m.set_normalization(ToEnum(o.normalization, kNormalizations));
  m.set_share_channels(o.share_channels);
}

void SetOptions(const ConcreteOptions& o, v1::Layer& layer) {
  v1::Concrete& m = *layer.mutable_concrete();
  m.set_temperature(o.temperature);
  m.set_weight_regularizer(o.weight_regularizer);
  m.set_dropout_regularizer(o.dropout_regularizer);
  m.set_spatial(o.spatial);
}

void SetOptions(const DropConnectOptions& o, v1::Layer& layer) {
  v1::DropConnect& m = *layer.mutable_drop_connect();
  m.set_in_features(o.in_features);
  m.set_out_features(o.out_features);
  m.set_bias(o.bias);
  m.set_mask_scope(ToEnum(o.mask_scope, kConnectScopes));
  m.set_target(ToEnum(o.target, kConnectTargets));
}

void SetOptions(const VariationalOptions& o, v1::Layer& layer) {
  v1::Variational& m = *layer.mutable_variational();
  if (o.time_axis.has_value()) m.set_time_axis(*o.time_axis);
}

void SetOptions(const RecurrentOptions& o, v1::Layer& layer) {
  layer.mutable_recurrent()->set_mask_scope(ToEnum(o.mask_scope, kRecurrentScopes));
}

void SetOptions(const StochasticDepthOptions& o, v1::Layer& layer) {
  v1::StochasticDepth& m = *layer.mutable_stochastic_depth();
  m.set_mode(ToEnum(o.mode, kDepthModes));
  m.set_depth_index(o.depth_index);
  m.set_depth_count(o.depth_count);
}

// --- Schedules ----------------------------------------------------------------------------

template <typename Ramp, typename Message>
Ramp ToRamp(const Message& m) {
  return {m.start_p(), m.end_p(), m.start_step(), m.end_step()};
}

absl::StatusOr<Schedule> ConvertSchedule(const v1::Schedule& m) {
  switch (m.kind_case()) {
    case v1::Schedule::kLinear:
      return ToRamp<LinearSchedule>(m.linear());
    case v1::Schedule::kCosine:
      return ToRamp<CosineSchedule>(m.cosine());
    case v1::Schedule::kCurriculum:
      return CurriculumSchedule{m.curriculum().end_p(), m.curriculum().gamma()};
    case v1::Schedule::kPiecewise: {
      const v1::PiecewiseSchedule& s = m.piecewise();
      return PiecewiseSchedule{{s.boundaries().begin(), s.boundaries().end()},
                               {s.values().begin(), s.values().end()}};
    }
    case v1::Schedule::KIND_NOT_SET:
      break;
  }
  return InvalidLayer("schedule.kind: not set, must be one of the oneof's fields");
}

template <typename Ramp, typename Message>
void SetRamp(const Ramp& ramp, Message& m) {
  m.set_start_p(ramp.start_p);
  m.set_end_p(ramp.end_p);
  m.set_start_step(ramp.start_step);
  m.set_end_step(ramp.end_step);
}

void SetSchedule(std::monostate, v1::Layer&) {}

void SetSchedule(const LinearSchedule& s, v1::Layer& layer) {
  SetRamp(s, *layer.mutable_schedule()->mutable_linear());
}

void SetSchedule(const CosineSchedule& s, v1::Layer& layer) {
  SetRamp(s, *layer.mutable_schedule()->mutable_cosine());
}

void SetSchedule(const CurriculumSchedule& s, v1::Layer& layer) {
  v1::CurriculumSchedule& m = *layer.mutable_schedule()->mutable_curriculum();
  m.set_end_p(s.end_p);
  m.set_gamma(s.gamma);
}

void SetSchedule(const PiecewiseSchedule& s, v1::Layer& layer) {
  v1::PiecewiseSchedule& m = *layer.mutable_schedule()->mutable_piecewise();
  m.mutable_boundaries()->Assign(s.boundaries.begin(), s.boundaries.end());
  m.mutable_values()->Assign(s.values.begin(), s.values.end());
}

}  // namespace

absl::StatusOr<Mode> FromProto(v1::Mode mode, Reason reason, absl::string_view field) {
  if (mode == v1::MODE_TRAIN) return Mode::kTrain;
  if (mode == v1::MODE_EVAL) return Mode::kEval;
  return MakeError(
      reason, absl::StrCat(field, ": ", static_cast<int>(mode), ", must be TRAIN (1) or EVAL (2)"));
}

absl::StatusOr<LayerConfig> FromProto(const v1::Layer& layer) {
  LayerConfig config;
  config.layer_id = layer.layer_id();
  if (layer.mode() != v1::MODE_UNSPECIFIED) {
    DROPOUTD_ASSIGN_OR_RETURN(config.mode, FromProto(layer.mode(), Reason::kInvalidLayer, "mode"));
  }
  config.p = layer.p();
  DROPOUTD_ASSIGN_OR_RETURN(
      config.generator, FromEnum("generator", layer.generator(), Generator::kPhilox, kGenerators));
  DROPOUTD_ASSIGN_OR_RETURN(config.scaling,
                            FromEnum("scaling", layer.scaling(), Scaling::kInverted, kScalings));
  if (layer.has_schedule()) {
    DROPOUTD_ASSIGN_OR_RETURN(config.schedule, ConvertSchedule(layer.schedule()));
  }
  DROPOUTD_ASSIGN_OR_RETURN(config.options, ConvertVariant(layer));
  return config;
}

v1::Mode ToProto(Mode mode) { return mode == Mode::kTrain ? v1::MODE_TRAIN : v1::MODE_EVAL; }

v1::Layer ToProto(const LayerView& view) {
  const LayerConfig& config = *view.config;
  v1::Layer layer;
  layer.set_layer_id(config.layer_id);
  layer.set_mode(ToProto(view.mode));
  layer.set_revision(view.revision);
  layer.set_p(config.p);
  layer.set_generator(ToEnum(config.generator, kGenerators));
  layer.set_scaling(ToEnum(config.scaling, kScalings));
  std::visit([&](const auto& schedule) { SetSchedule(schedule, layer); }, config.schedule);
  std::visit([&](const auto& options) { SetOptions(options, layer); }, config.options);
  return layer;
}

}  // namespace dropoutd
