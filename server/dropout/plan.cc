#include "server/dropout/plan.h"

#include <variant>

#include "server/base/status_macros.h"
#include "server/random/mask_key.h"

namespace dropoutd {
namespace {

double TrainScale(Scaling scaling, double p) {
  return scaling == Scaling::kInverted ? 1.0 / (1.0 - p) : 1.0;
}

double EvalScale(Scaling scaling, double p) { return scaling == Scaling::kEval ? 1.0 - p : 1.0; }

}  // namespace

double DropProbability(const LayerConfig& config) { return config.p; }

absl::StatusOr<Plan> MakePlan(const LayerConfig& config, Mode mode, double p,
                              const Coordinates& at, const Shape& shape) {
  const auto& options = std::get<DropoutOptions>(config.options);
  Plan plan;
  DROPOUTD_ASSIGN_OR_RETURN(plan.layout,
                            MakeNoiseLayout(shape, options.broadcast_axes, at.sample_offset));
  if (mode == Mode::kTrain && p > 0.0) {
    plan.action = Action::kMask;
    plan.scale = TrainScale(config.scaling, p);
    if (!IsSequential(config.generator)) {
      plan.stream = MakeBernoulliStream({at.seed, config.layer_id, KeyKind::kStep, at.step}, p);
    }
    return plan;
  }
  plan.scale = EvalScale(config.scaling, p);
  plan.action = plan.scale == 1.0 ? Action::kCopy : Action::kScale;
  return plan;
}

}  // namespace dropoutd
