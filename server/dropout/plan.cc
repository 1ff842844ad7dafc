#include "server/dropout/plan.h"

#include <cmath>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/random/mask_key.h"

namespace dropoutd {
namespace {

// The value at which SELU saturates, -lambda alpha (Klambauer et al., 2017).
constexpr double kSaturation = -1.7580993408473766;

double TrainScale(Scaling scaling, const DropRate& rate) {
  return scaling == Scaling::kInverted ? 1.0 / rate.q : 1.0;
}

double EvalScale(Scaling scaling, const DropRate& rate) {
  return scaling == Scaling::kEval ? rate.q : 1.0;
}

// a (x m + A (1-m)) + b with a = (q (1 + p A^2))^-1/2 and b = -a A p.
void SetAlpha(Plan& plan) {
  const double p = plan.rate.p;
  const double a = 1.0 / std::sqrt(plan.rate.q * (1.0 + p * kSaturation * kSaturation));
  const double b = -a * kSaturation * p;
  plan.scale = a;
  plan.shift = b;
  plan.dropped = a * kSaturation + b;
}

MaskKey KeyOf(const LayerConfig& config, const Coordinates& at) {
  const bool by_sequence = IsSequenceKeyed(config);
  return {at.seed, config.layer_id, by_sequence ? KeyKind::kSequence : KeyKind::kStep,
          by_sequence ? at.sequence_id : at.step};
}

absl::Status PlanBlocks(const LayerConfig& config, const Coordinates& at, Plan& plan) {
  const auto& options = std::get<DropBlockOptions>(config.options);
  DROPOUTD_ASSIGN_OR_RETURN(plan.blocks, MakeBlockLayout(options, plan.rate.p, plan.layout.noise));
  const BlockLayout& blocks = plan.blocks;
  DROPOUTD_ASSIGN_OR_RETURN(plan.layout.first_index, FirstIndex(at.sample_offset, blocks.samples,
                                                                blocks.channels * blocks.places));
  plan.stream = MakeBernoulliStream(KeyOf(config, at), blocks.gamma);
  return absl::OkStatus();
}

// A train plan with p > 0 of axis-wise or block noise.
absl::Status PlanNoise(const LayerConfig& config, const Coordinates& at, Plan& plan) {
  const VariantRow& row = RowOf(config);
  if (row.structure == Structure::kBlock) {
    plan.action = Action::kBlock;
    return PlanBlocks(config, at, plan);
  }
  if (row.law != NoiseLaw::kBernoulli) {
    plan.action = Action::kMultiply;
    // Not of bits, which have no threshold for a p that rounds to 1.
    static_cast<kernels::NoiseStream&>(plan.stream) = MakeNoiseStream(KeyOf(config, at));
    if (const auto* const concrete = std::get_if<ConcreteOptions>(&config.options)) {
      plan.temperature = concrete->temperature;
    }
    return absl::OkStatus();
  }
  if (!IsSequential(config.generator)) {
    plan.stream = MakeBernoulliStream(KeyOf(config, at), plan.rate.p);
  }
  if (row.scaling == ScalingRule::kSelfNormalizing) {
    plan.action = Action::kAlpha;
    SetAlpha(plan);
    return absl::OkStatus();
  }
  plan.action = Action::kMask;
  plan.scale = TrainScale(config.scaling, plan.rate);
  return absl::OkStatus();
}

absl::Status CheckLast(const Shape& shape, const char* field, std::int64_t size) {
  if (shape.rank() != 0 && shape[shape.rank() - 1] == size) return absl::OkStatus();
  return MakeError(Reason::kInvalidTensor, absl::StrCat("shape: ", shape.ToString(),
                                                        ", must end with ", field, ", ", size));
}

absl::StatusOr<Shape> WithLast(const Shape& shape, std::int64_t size) {
  std::vector<std::int64_t> sizes(shape.sizes().begin(), shape.sizes().end());
  sizes.back() = size;
  return Shape::Make(sizes);
}

// LINEAR: input [..., in], output [..., out]; axis 0 counts samples where there are two or more.
absl::StatusOr<Plan> PlanLinear(const LayerConfig& config, Mode mode, const DropRate& rate,
                                const Coordinates& at, const Shape& shape) {
  const auto& options = std::get<DropConnectOptions>(config.options);
  DROPOUTD_RETURN_IF_ERROR(CheckLast(shape, "in_features", options.in_features));
  Plan plan;
  plan.action = Action::kLinear;
  plan.rate = rate;
  plan.linear.in_features = options.in_features;
  plan.linear.out_features = options.out_features;
  plan.linear.has_bias = options.bias;
  plan.linear.is_masked = mode == Mode::kTrain && rate.p > 0.0;
  plan.scale = plan.linear.is_masked ? TrainScale(config.scaling, rate)
               : mode == Mode::kEval ? EvalScale(config.scaling, rate)
                                     : 1.0;
  DROPOUTD_ASSIGN_OR_RETURN(plan.output, WithLast(shape, options.out_features));
  plan.linear.rows = shape.ElementCount() / options.in_features;
  const std::int64_t samples = shape.rank() == 1 ? 1 : shape[0];
  const bool by_sample = options.mask_scope == DropConnectOptions::Scope::kSample;
  plan.linear.rows_per_sample =
      by_sample && samples != 0 ? plan.linear.rows / samples : plan.linear.rows;
  const std::int64_t masks = by_sample ? samples : 1;
  DROPOUTD_ASSIGN_OR_RETURN(
      plan.mask_shape,
      Shape::Make(std::vector<std::int64_t>{masks, options.out_features, options.in_features}));
  plan.layout.tensor = shape;
  plan.layout.noise = plan.mask_shape;
  DROPOUTD_ASSIGN_OR_RETURN(plan.layout.first_index,
                            FirstIndex(at.sample_offset, samples,
                                       by_sample ? options.out_features * options.in_features : 0));
  if (plan.linear.is_masked) plan.stream = MakeBernoulliStream(KeyOf(config, at), rate.p);
  return plan;
}

// WEIGHTS: the input is the weight itself.
absl::Status PlanWeights(const DropConnectOptions& options, const Shape& shape, Plan& plan) {
  const auto fits = [](std::int64_t wanted, std::int64_t size) {
    return wanted == 0 || wanted == size;
  };
  if (shape.rank() != 2 || !fits(options.out_features, shape[0]) ||
      !fits(options.in_features, shape[1])) {
    return MakeError(Reason::kInvalidTensor,
                     absl::StrCat("shape: ", shape.ToString(), ", must be a weight of ",
                                  "[out_features, in_features]"));
  }
  DROPOUTD_ASSIGN_OR_RETURN(plan.mask_shape,
                            Shape::Make(std::vector<std::int64_t>{1, shape[0], shape[1]}));
  return absl::OkStatus();
}

}  // namespace

Plan Plan::Gradient() const {
  Plan plan = *this;
  if (action == Action::kAlpha) plan.action = Action::kMask;
  return plan;
}

DropRate RateAt(const LayerConfig& config, std::optional<std::uint64_t> step,
                const Parameters& parameters) {
  if (LearnsP(config)) {
    const Parameter* const set = parameters.Find(kLogitP);
    // As InitialParameters has it, until it is set.
    const double logit_p = set != nullptr ? FirstElement(*set) : Logit(config.p);
    DropRate rate(Sigmoid(logit_p));
    rate.q = Sigmoid(-logit_p);
    rate.logit_p = logit_p;
    return rate;
  }
  double p =
      HasSchedule(config.schedule) ? ScheduledP(config.schedule, step.value_or(0)) : config.p;
  if (const auto* const depth = std::get_if<StochasticDepthOptions>(&config.options)) {
    if (depth->depth_count != 0) {
      p = p * static_cast<double>(depth->depth_index) / static_cast<double>(depth->depth_count);
    }
  }
  return DropRate(p);
}

bool IsRateOf(const LayerConfig& config, const DropRate& rate) {
  // Written so that NaN fails.
  if (!LearnsP(config)) return rate.p >= 0.0 && rate.p < 1.0 && rate.q == 1.0 - rate.p;
  return rate.p >= 0.0 && rate.p <= 1.0 && rate.q > 0.0 && rate.q <= 1.0 &&
         CheckParameter(config, MakeScalar(kLogitP, rate.logit_p)).ok();
}

absl::StatusOr<Shape> InputShape(const LayerConfig& config, const Shape& output) {
  if (!IsLinear(config)) return output;
  const auto& options = std::get<DropConnectOptions>(config.options);
  DROPOUTD_RETURN_IF_ERROR(CheckLast(output, "out_features", options.out_features));
  return WithLast(output, options.in_features);
}

absl::StatusOr<Plan> MakePlan(const LayerConfig& config, Mode mode, const DropRate& rate,
                              const Coordinates& at, const Shape& shape) {
  if (IsLinear(config)) return PlanLinear(config, mode, rate, at, shape);
  const VariantRow& row = RowOf(config);
  Plan plan;
  plan.rate = rate;
  plan.law = row.law;
  plan.output = shape;
  DROPOUTD_ASSIGN_OR_RETURN(const SharedAxes shared, SharedAxesOf(config.options, shape.rank()));
  DROPOUTD_ASSIGN_OR_RETURN(plan.layout, MakeNoiseLayout(shape, shared, at.sample_offset));
  plan.mask_shape = plan.layout.noise;
  if (row.target == Target::kWeights) {
    DROPOUTD_RETURN_IF_ERROR(
        PlanWeights(std::get<DropConnectOptions>(config.options), shape, plan));
  }
  if (mode == Mode::kTrain && rate.p > 0.0) {
    DROPOUTD_RETURN_IF_ERROR(PlanNoise(config, at, plan));
    return plan;
  }
  // With p = 0 in train the factor is 1 too.
  if (row.scaling == ScalingRule::kOfLayer) plan.scale = EvalScale(config.scaling, rate);
  plan.action = plan.scale == 1.0 ? Action::kCopy : Action::kScale;
  return plan;
}

}  // namespace dropoutd
