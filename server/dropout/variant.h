// The family, as a table: a variant is a noise law, a structure, a scaling, a target and a key.
#ifndef DROPOUTD_SERVER_DROPOUT_VARIANT_H_
#define DROPOUTD_SERVER_DROPOUT_VARIANT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "server/dropout/layer_config.h"

namespace dropoutd {

// What one draw is.
enum class NoiseLaw : std::uint8_t {
  kBernoulli,         // Kept with probability q, else dropped.
  kGaussian,          // 1 + s e, e ~ N(0, 1), s = sqrt(p / q).
  kRelaxedBernoulli,  // (1 - z) / q, z = sigmoid((logit p + logit u) / temperature).
};

// Which elements have one draw.
enum class Structure : std::uint8_t {
  kAxes,     // Those along some axes, possibly none: an element, a channel, a sample.
  kBlock,    // A block around a seed.
  kWeights,  // A weight of a linear layer, for one sample or for the batch.
};

// What the noise becomes: y = a x + b.
enum class ScalingRule : std::uint8_t {
  kOfLayer,          // The layer's `scaling` (a = 1/q, 1, or 1 with q in eval).
  kMeanOne,          // The noise has mean 1 by itself.
  kSelfNormalizing,  // Alpha: a and b keep mean 0 and variance 1.
  kRealizedRate,     // a = size / kept.
};

// What is masked.
enum class Target : std::uint8_t { kActivations, kWeights };

// What a mask is shared by.
enum class KeyRule : std::uint8_t { kStep, kSequence, kOfScope };

struct VariantRow {
  std::string_view name;  // In the proto's oneof.
  NoiseLaw law;
  Structure structure;
  ScalingRule scaling;
  Target target;
  KeyRule key;
};

// In the order of VariantOptions.
inline constexpr std::array<VariantRow, std::variant_size_v<VariantOptions>> kVariants = {{
    {"dropout", NoiseLaw::kBernoulli, Structure::kAxes, ScalingRule::kOfLayer, Target::kActivations,
     KeyRule::kStep},
    {"gaussian", NoiseLaw::kGaussian, Structure::kAxes, ScalingRule::kMeanOne, Target::kActivations,
     KeyRule::kStep},
    {"alpha", NoiseLaw::kBernoulli, Structure::kAxes, ScalingRule::kSelfNormalizing,
     Target::kActivations, KeyRule::kStep},
    {"feature_alpha", NoiseLaw::kBernoulli, Structure::kAxes, ScalingRule::kSelfNormalizing,
     Target::kActivations, KeyRule::kStep},
    {"spatial", NoiseLaw::kBernoulli, Structure::kAxes, ScalingRule::kOfLayer, Target::kActivations,
     KeyRule::kStep},
    {"drop_block", NoiseLaw::kBernoulli, Structure::kBlock, ScalingRule::kRealizedRate,
     Target::kActivations, KeyRule::kStep},
    {"concrete", NoiseLaw::kRelaxedBernoulli, Structure::kAxes, ScalingRule::kMeanOne,
     Target::kActivations, KeyRule::kStep},
    {"drop_connect", NoiseLaw::kBernoulli, Structure::kWeights, ScalingRule::kOfLayer,
     Target::kWeights, KeyRule::kStep},
    {"variational", NoiseLaw::kBernoulli, Structure::kAxes, ScalingRule::kOfLayer,
     Target::kActivations, KeyRule::kSequence},
    {"recurrent", NoiseLaw::kBernoulli, Structure::kAxes, ScalingRule::kOfLayer,
     Target::kActivations, KeyRule::kOfScope},
    {"stochastic_depth", NoiseLaw::kBernoulli, Structure::kAxes, ScalingRule::kOfLayer,
     Target::kActivations, KeyRule::kStep},
}};

inline const VariantRow& RowOf(const LayerConfig& config) {
  return kVariants[config.options.index()];
}

// Whether the layer's masks are keyed by sequence_id rather than by step.
inline bool IsSequenceKeyed(const LayerConfig& config) {
  switch (RowOf(config).key) {
    case KeyRule::kStep:
      return false;
    case KeyRule::kSequence:
      return true;
    case KeyRule::kOfScope:
      break;
  }
  return std::get<RecurrentOptions>(config.options).mask_scope ==
         RecurrentOptions::Scope::kSequence;
}

// Whether the layer multiplies by weights that the server holds (drop_connect, LINEAR).
inline bool IsLinear(const LayerConfig& config) {
  const auto* const options = std::get_if<DropConnectOptions>(&config.options);
  return options != nullptr && options->target == DropConnectOptions::Target::kLinear;
}

// Whether p is learned, as the parameter `logit_p` (concrete).
inline bool LearnsP(const LayerConfig& config) {
  return RowOf(config).law == NoiseLaw::kRelaxedBernoulli;
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_VARIANT_H_
