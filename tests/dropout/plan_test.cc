#include "server/dropout/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <tuple>
#include <vector>

#include "server/base/error.h"
#include "server/dropout/multipliers.h"
#include "server/dropout/parameters.h"
#include "server/random/mask_key.h"
#include "tests/dropout/naive_forward.h"

namespace dropoutd {
namespace {

constexpr Scaling kScalings[] = {Scaling::kInverted, Scaling::kNone, Scaling::kEval};

Plan PlanOf(double p, Mode mode, Scaling scaling) {
  return MakePlanOf({MakeConfig(p, {}, scaling), mode, {1, 7, 3}, {4, 5}});
}

TEST(MakePlan, TrainMasks) {
  for (const Scaling scaling : kScalings) {
    const Plan plan = PlanOf(0.3, Mode::kTrain, scaling);
    EXPECT_EQ(plan.action, Action::kMask);
    EXPECT_EQ(plan.scale, scaling == Scaling::kInverted ? 1 / (1 - 0.3) : 1.0);
    EXPECT_EQ(plan.layout.first_index, 15u);
    EXPECT_EQ(plan.stream.threshold, BernoulliThreshold(0.3));
  }
}

TEST(MakePlan, EvalCopiesOrScales) {
  for (const Scaling scaling : {Scaling::kInverted, Scaling::kNone}) {
    EXPECT_EQ(PlanOf(0.3, Mode::kEval, scaling).action, Action::kCopy);
    EXPECT_EQ(PlanOf(0.3, Mode::kEval, scaling).scale, 1.0);
  }
  EXPECT_EQ(PlanOf(0.3, Mode::kEval, Scaling::kEval).action, Action::kScale);
  EXPECT_EQ(PlanOf(0.3, Mode::kEval, Scaling::kEval).scale, 1 - 0.3);
}

TEST(MakePlan, ProbabilityZeroCopies) {
  for (const double p : {0.0, -0.0}) {
    for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
      for (const Scaling scaling : kScalings) {
        EXPECT_EQ(PlanOf(p, mode, scaling).action, Action::kCopy);
        EXPECT_EQ(PlanOf(p, mode, scaling).scale, 1.0);
      }
    }
  }
}

TEST(MakePlan, TinyProbabilitiesStillMask) {
  const Plan plan =
      PlanOf(std::numeric_limits<double>::denorm_min(), Mode::kTrain, Scaling::kInverted);
  EXPECT_EQ(plan.action, Action::kMask);
  EXPECT_EQ(plan.scale, 1.0);
  EXPECT_EQ(plan.stream.threshold, 0u);
  // 1 - p rounds to 1 in eval: nothing is left to multiply by.
  EXPECT_EQ(PlanOf(1e-300, Mode::kEval, Scaling::kEval).action, Action::kCopy);
}

TEST(MakePlan, ThePlansPIsTheArgumentNotTheConfigs) {
  const Plan plan = MakePlan(MakeConfig(0.9), Mode::kTrain, 0.5, {}, MakeShape({4})).value();
  EXPECT_EQ(plan.scale, 2.0);
  EXPECT_EQ(plan.stream.threshold, BernoulliThreshold(0.5));
}

TEST(MakePlan, SequentialGeneratorsPlanAMaskWithoutAKey) {
  LayerConfig config = MakeConfig(0.5);
  config.generator = Generator::kNumpyLegacy;
  const Plan plan = MakePlan(config, Mode::kTrain, 0.5, {1, 7, 3}, MakeShape({4})).value();
  EXPECT_EQ(plan.action, Action::kMask);
  EXPECT_EQ(plan.scale, 2.0);
}

TEST(MakePlan, EveryCoordinateCounts) {
  const auto stream_of = [](std::uint64_t seed, std::uint64_t step, const char* layer_id) {
    LayerConfig config = MakeConfig(0.5);
    config.layer_id = layer_id;
    const auto stream =
        MakePlan(config, Mode::kTrain, 0.5, {seed, step, 0}, MakeShape({4})).value().stream;
    return std::tuple(stream.key[0], stream.key[1], stream.counter2);
  };
  const std::set streams = {stream_of(1, 2, "a"), stream_of(2, 2, "a"), stream_of(1, 1, "a"),
                            stream_of(2, 1, "a"), stream_of(1, 2, "b")};
  EXPECT_EQ(streams.size(), 5u);
}

// A logit may be as large as 700, whose p no float64 tells from 1.
TEST(MakePlan, ALearnedPThatRoundsTo1) {
  LayerConfig config = MakeConfig(0.5);
  config.options = ConcreteOptions();
  Parameters parameters;
  parameters.Set(MakeScalar(kLogitP, 40));
  const DropRate rate = RateAt(config, 7, parameters);
  EXPECT_EQ(rate.p, 1.0);
  EXPECT_TRUE(IsRateOf(config, rate));
  const Plan plan = MakePlan(config, Mode::kTrain, rate, {1, 7, 3}, MakeShape({64})).value();
  EXPECT_EQ(plan.action, Action::kMultiply);
  EXPECT_EQ(plan.stream.threshold, 0u);  // Its noise is not of bits.
  for (const double multiplier : DrawMultipliers(plan)) EXPECT_TRUE(std::isfinite(multiplier));
}

TEST(MakePlan, PassesOnTheLayoutsErrors) {
  const Shape shape = MakeShape({4});
  for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
    EXPECT_EQ(ReasonOf(MakePlan(MakeConfig(0.5, {1}), mode, 0.5, {}, shape).status()),
              Reason::kInvalidLayer);
    EXPECT_EQ(ReasonOf(MakePlan(MakeConfig(0.5), mode, 0.5, {0, 0, -1}, shape).status()),
              Reason::kInvalidTensor);
  }
}

TEST(RateAt, IsTheConfigs) { EXPECT_EQ(RateAt(MakeConfig(0.3), 7, {}).p, 0.3); }

TEST(IsRateOf, SaysWhatALayerCanHave) {
  const LayerConfig bernoulli = MakeConfig(0.3);
  for (const double p : {0.0, 0.3, std::nextafter(1.0, 0.0)}) EXPECT_TRUE(IsRateOf(bernoulli, p));
  for (const double p : {1.0, -0.1, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_FALSE(IsRateOf(bernoulli, p)) << p;
  }
  DropRate odd(0.3);
  odd.q = 0.6;
  EXPECT_FALSE(IsRateOf(bernoulli, odd));
}

TEST(Scale, IsRoundedOnceToFloat64) {
  for (const double p : {1e-6, 0.001, 0.1, 0.3, 0.9, 0.999, std::nextafter(1.0, 0.0)}) {
    // The quotient of the rounded difference; its residual shows that it is the nearest.
    const double q = 1 - p;
    const double scale = PlanOf(p, Mode::kTrain, Scaling::kInverted).scale;
    const double residual = std::fabs(std::fma(scale, q, -1.0));
    for (const double neighbour : {std::nextafter(scale, 0.0), std::nextafter(scale, 1e300)}) {
      EXPECT_LE(residual, std::fabs(std::fma(neighbour, q, -1.0))) << p;
    }
  }
}

}  // namespace
}  // namespace dropoutd
