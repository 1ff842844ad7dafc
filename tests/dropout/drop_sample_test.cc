#include "server/dropout/drop_sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "server/dropout/multipliers.h"
#include "server/dropout/pass.h"
#include "tests/dropout/naive_forward.h"

namespace dropoutd {
namespace {

Plan PlanOf(VariantOptions options, double p, const Sizes& shape) {
  LayerConfig config;
  config.layer_id = "sampled";
  config.p = p;
  config.options = std::move(options);
  const DropRate rate = RateAt(config, 2, InitialParameters(config));
  return MakePlan(config, Mode::kTrain, rate, {1, 2, 0}, MakeShape(shape)).value();
}

TEST(DropSampleTest, BitsAreCounted) {
  const Plan plan = PlanOf(DropoutOptions{}, 0.3, {50, 20});
  const PackedBits bits = DrawBits(plan);
  const DropSample sample = SampleDrops(plan, &bits);
  EXPECT_EQ(sample.elements, 1000u);
  EXPECT_EQ(sample.dropped, 1000 - bits.CountKept(0, 1000));
  EXPECT_DOUBLE_EQ(sample.expected, 300);
}

TEST(DropSampleTest, OfManyBitsTheFirst) {
  const Plan plan = PlanOf(DropoutOptions{}, 0.3, {100'000});
  const PackedBits bits = DrawBits(plan);
  const DropSample sample = SampleDrops(plan, &bits);
  EXPECT_EQ(sample.elements, 65'536u);
  EXPECT_EQ(sample.dropped, 65'536 - bits.CountKept(0, 65'536));
}

TEST(DropSampleTest, BitsThatAreNotAtHandAreDrawnAgain) {
  const Plan plan = PlanOf(DropoutOptions{}, 0.3, {100'000});
  const DropSample sample = SampleDrops(plan, nullptr);
  EXPECT_EQ(sample.elements, 1024u);
  EXPECT_EQ(sample.dropped, 1024 - DrawBits(plan).CountKept(0, 1024));
}

// Those count that are below half of the most that is kept of an element; of Gaussian noise,
// below 1.
TEST(DropSampleTest, MultipliersCountByTheirNoise) {
  for (const VariantOptions& options :
       {VariantOptions(GaussianOptions{}), VariantOptions(ConcreteOptions{})}) {
    const bool is_gaussian = std::holds_alternative<GaussianOptions>(options);
    const Plan plan = PlanOf(options, 0.3, {160, 240});
    const double limit = is_gaussian ? 1.0 : 0.5 / plan.rate.q;
    const std::vector<double> multipliers = DrawMultipliers(plan);
    const auto below = std::count_if(multipliers.begin(), multipliers.begin() + 600,
                                     [&](double multiplier) { return multiplier < limit; });
    const DropSample sample = SampleDrops(plan, nullptr);
    EXPECT_EQ(sample.elements, 600u);
    EXPECT_EQ(sample.dropped, static_cast<std::size_t>(below));
    EXPECT_NEAR(sample.expected, is_gaussian ? 300 : 180, 1e-9);
    // 5 sigma.
    EXPECT_NEAR(static_cast<double>(below), sample.expected, 5 * std::sqrt(600 * 0.25));
  }
}

TEST(DropSampleTest, OfFewElementsSixteen) {
  for (const std::int64_t size : {5, 16, 17, 1000}) {
    const DropSample sample = SampleDrops(PlanOf(GaussianOptions{}, 0.3, {size}), nullptr);
    EXPECT_EQ(sample.elements, size < 16 ? 5u : 16u);
  }
}

TEST(DropSampleTest, NoElements) {
  for (const VariantOptions& options :
       {VariantOptions(DropoutOptions{}), VariantOptions(GaussianOptions{})}) {
    const DropSample sample = SampleDrops(PlanOf(options, 0.3, {0, 3}), nullptr);
    EXPECT_EQ(sample.elements, 0u);
    EXPECT_EQ(sample.expected, 0);
  }
}

}  // namespace
}  // namespace dropoutd
