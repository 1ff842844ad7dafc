// Layers, with their variants and schedules.
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "client/convert.h"

namespace dropout {
namespace {

// --- Variants to their messages ------------------------------------------------------------

void SetVariant(std::monostate, v1::Layer*) {}

template <typename Axes, typename Message>
void SetAxes(const Axes& axes, Message* message) {
  message->mutable_broadcast_axes()->Assign(axes.begin(), axes.end());
}

void SetVariant(const Dropout& variant, v1::Layer* layer) {
  SetAxes(variant.broadcast_axes, layer->mutable_dropout());
}

void SetVariant(const Gaussian& variant, v1::Layer* layer) {
  SetAxes(variant.broadcast_axes, layer->mutable_gaussian());
}

void SetVariant(const Alpha&, v1::Layer* layer) { layer->mutable_alpha(); }

void SetVariant(const FeatureAlpha& variant, v1::Layer* layer) {
  layer->mutable_feature_alpha()->set_channel_axis(variant.channel_axis);
}

void SetVariant(const Spatial& variant, v1::Layer* layer) {
  layer->mutable_spatial()->set_channel_axis(variant.channel_axis);
}

void SetVariant(const DropBlock& variant, v1::Layer* layer) {
  v1::DropBlock& message = *layer->mutable_drop_block();
  message.mutable_block_size()->Assign(variant.block_size.begin(), variant.block_size.end());
  message.set_channel_axis(variant.channel_axis);
  message.set_gamma(static_cast<v1::Gamma>(variant.gamma));
  message.set_normalization(static_cast<v1::Normalization>(variant.normalization));
  message.set_share_channels(variant.share_channels);
}

void SetVariant(const Concrete& variant, v1::Layer* layer) {
  v1::Concrete& message = *layer->mutable_concrete();
  if (variant.temperature.has_value()) message.set_temperature(*variant.temperature);
  message.set_weight_regularizer(variant.weight_regularizer);
  message.set_dropout_regularizer(variant.dropout_regularizer);
  message.set_spatial(variant.spatial);
}

void SetVariant(const DropConnect& variant, v1::Layer* layer) {
  v1::DropConnect& message = *layer->mutable_drop_connect();
  message.set_in_features(variant.in_features);
  message.set_out_features(variant.out_features);
  message.set_bias(variant.bias);
  message.set_mask_scope(static_cast<v1::MaskScope>(variant.mask_scope));
  message.set_target(static_cast<v1::ConnectTarget>(variant.target));
}

void SetVariant(const Variational& variant, v1::Layer* layer) {
  v1::Variational& message = *layer->mutable_variational();
  if (variant.time_axis.has_value()) message.set_time_axis(*variant.time_axis);
}

void SetVariant(const Recurrent& variant, v1::Layer* layer) {
  layer->mutable_recurrent()->set_mask_scope(static_cast<v1::MaskScope>(variant.mask_scope));
}

void SetVariant(const StochasticDepth& variant, v1::Layer* layer) {
  v1::StochasticDepth& message = *layer->mutable_stochastic_depth();
  message.set_mode(static_cast<v1::DepthMode>(variant.mode));
  message.set_depth_index(variant.depth_index);
  message.set_depth_count(variant.depth_count);
}

// --- Variants from their messages ----------------------------------------------------------

template <typename V, typename Message>
V WithChannelAxis(const Message& message) {
  V variant;
  if (message.has_channel_axis()) variant.channel_axis = message.channel_axis();
  return variant;
}

DropBlock VariantOf(const v1::DropBlock& message) {
  auto variant = WithChannelAxis<DropBlock>(message);
  variant.block_size.assign(message.block_size().begin(), message.block_size().end());
  variant.gamma = static_cast<Gamma>(message.gamma());
  variant.normalization = static_cast<Normalization>(message.normalization());
  variant.share_channels = message.share_channels();
  return variant;
}

Concrete VariantOf(const v1::Concrete& message) {
  Concrete variant;
  if (message.has_temperature()) variant.temperature = message.temperature();
  variant.weight_regularizer = message.weight_regularizer();
  variant.dropout_regularizer = message.dropout_regularizer();
  variant.spatial = message.spatial();
  return variant;
}

DropConnect VariantOf(const v1::DropConnect& message) {
  DropConnect variant;
  variant.in_features = message.in_features();
  variant.out_features = message.out_features();
  if (message.has_bias()) variant.bias = message.bias();
  variant.mask_scope = static_cast<MaskScope>(message.mask_scope());
  variant.target = static_cast<ConnectTarget>(message.target());
  return variant;
}

Variational VariantOf(const v1::Variational& message) {
  Variational variant;
  if (message.has_time_axis()) variant.time_axis = message.time_axis();
  return variant;
}

StochasticDepth VariantOf(const v1::StochasticDepth& message) {
  return {static_cast<DepthMode>(message.mode()), message.depth_index(), message.depth_count()};
}

Variant VariantOf(const v1::Layer& message) {
  const auto list = [](const auto& numbers) {
    return std::vector<std::int32_t>(numbers.begin(), numbers.end());
  };
  switch (message.variant_case()) {
    case v1::Layer::kDropout:
      return Dropout{list(message.dropout().broadcast_axes())};
    case v1::Layer::kGaussian:
      return Gaussian{list(message.gaussian().broadcast_axes())};
    case v1::Layer::kAlpha:
      return Alpha{};
    case v1::Layer::kFeatureAlpha:
      return WithChannelAxis<FeatureAlpha>(message.feature_alpha());
    case v1::Layer::kSpatial:
      return WithChannelAxis<Spatial>(message.spatial());
    case v1::Layer::kDropBlock:
      return VariantOf(message.drop_block());
    case v1::Layer::kConcrete:
      return VariantOf(message.concrete());
    case v1::Layer::kDropConnect:
      return VariantOf(message.drop_connect());
    case v1::Layer::kVariational:
      return VariantOf(message.variational());
    case v1::Layer::kRecurrent:
      return Recurrent{static_cast<MaskScope>(message.recurrent().mask_scope())};
    case v1::Layer::kStochasticDepth:
      return VariantOf(message.stochastic_depth());
    case v1::Layer::VARIANT_NOT_SET:
      break;
  }
  return std::monostate{};
}

// --- Schedules -----------------------------------------------------------------------------

void SetSchedule(std::monostate, v1::Schedule*) {}

template <typename Ramp, typename Message>
void SetRamp(const Ramp& ramp, Message* message) {
  message->set_start_p(ramp.start_p);
  message->set_end_p(ramp.end_p);
  message->set_start_step(ramp.start_step);
  message->set_end_step(ramp.end_step);
}

void SetSchedule(const LinearSchedule& schedule, v1::Schedule* message) {
  SetRamp(schedule, message->mutable_linear());
}

void SetSchedule(const CosineSchedule& schedule, v1::Schedule* message) {
  SetRamp(schedule, message->mutable_cosine());
}

void SetSchedule(const CurriculumSchedule& schedule, v1::Schedule* message) {
  message->mutable_curriculum()->set_end_p(schedule.end_p);
  message->mutable_curriculum()->set_gamma(schedule.gamma);
}

void SetSchedule(const PiecewiseSchedule& schedule, v1::Schedule* message) {
  v1::PiecewiseSchedule& piecewise = *message->mutable_piecewise();
  piecewise.mutable_boundaries()->Assign(schedule.boundaries.begin(), schedule.boundaries.end());
  piecewise.mutable_values()->Assign(schedule.values.begin(), schedule.values.end());
}

template <typename Ramp, typename Message>
Ramp RampOf(const Message& message) {
  return {message.start_p(), message.end_p(), message.start_step(), message.end_step()};
}

Schedule ScheduleOf(const v1::Schedule& message) {
  switch (message.kind_case()) {
    case v1::Schedule::kLinear:
      return RampOf<LinearSchedule>(message.linear());
    case v1::Schedule::kCosine:
      return RampOf<CosineSchedule>(message.cosine());
    case v1::Schedule::kCurriculum:
      return CurriculumSchedule{message.curriculum().end_p(), message.curriculum().gamma()};
    case v1::Schedule::kPiecewise: {
      const v1::PiecewiseSchedule& piecewise = message.piecewise();
      return PiecewiseSchedule{{piecewise.boundaries().begin(), piecewise.boundaries().end()},
                               {piecewise.values().begin(), piecewise.values().end()}};
    }
    case v1::Schedule::KIND_NOT_SET:
      break;
  }
  return std::monostate{};
}

// At p = 0 nothing is dropped, so nothing would be learned.
constexpr double kFirstLearnedP = 0.1;

}  // namespace

absl::StatusOr<double> PToSend(const Layer& layer, absl::string_view field) {
  if (layer.p.has_value()) return *layer.p;
  if (layer.schedule.has_value()) return 0.0;
  if (std::holds_alternative<Concrete>(layer.variant)) return kFirstLearnedP;
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": not given for layer \"", layer.layer_id,
                   "\", must be in [0, 1) where there is no schedule; 0 drops nothing"));
}

void ToProto(const Layer& layer, v1::Layer* message) {
  message->set_layer_id(layer.layer_id);
  message->set_mode(static_cast<v1::Mode>(layer.mode));
  message->set_revision(layer.revision);
  message->set_p(layer.p.value_or(0.0));
  message->set_generator(static_cast<v1::Generator>(layer.generator));
  message->set_scaling(static_cast<v1::Scaling>(layer.scaling));
  if (layer.schedule.has_value()) {
    std::visit([&](const auto& schedule) { SetSchedule(schedule, message->mutable_schedule()); },
               *layer.schedule);
  }
  std::visit([&](const auto& variant) { SetVariant(variant, message); }, layer.variant);
}

Layer FromProto(v1::Layer&& message) {
  Layer layer;
  layer.layer_id = std::move(*message.mutable_layer_id());
  layer.mode = static_cast<Mode>(message.mode());
  layer.revision = message.revision();
  layer.p = message.p();
  layer.generator = static_cast<Generator>(message.generator());
  layer.scaling = static_cast<Scaling>(message.scaling());
  if (message.has_schedule()) layer.schedule = ScheduleOf(message.schedule());
  layer.variant = VariantOf(message);
  return layer;
}

}  // namespace dropout
