// Laws of the variants: realised rates and moments. Seeds are fixed, so that a run of 5 sigma is
// a fault and not bad luck.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "server/dropout/block_rate.h"
#include "server/dropout/drop_block.h"
#include "server/dropout/pass.h"
#include "server/kernels/deviates.h"
#include "server/random/mask_key.h"
#include "tests/dropout/naive_forward.h"
#include "tests/dropout/whole_pass.h"
#include "tests/kernels/naive.h"

namespace dropoutd {
namespace {

constexpr double kSigmas = 5;
constexpr std::int64_t kShrink = naive::kSanitized ? 100 : 1;

// Sums of one number a trial.
class Moments {
 public:
  void Add(double x) {
    ++n_;
    sum_ += x;
    squares_ += x * x;
  }

  double mean() const { return sum_ / n_; }
  double variance() const { return squares_ / n_ - mean() * mean(); }
  double mean_error() const { return std::sqrt(variance() / n_); }

 private:
  double n_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

LayerConfig ConfigOf(VariantOptions options, double p) {
  LayerConfig config;
  config.layer_id = "law";
  config.p = p;
  config.options = std::move(options);
  return config;
}

// --- DropBlock ----------------------------------------------------------------------------

using Map = std::vector<std::int64_t>;

struct BlockCase {
  Map map;
  std::int64_t block;
};

const std::vector<BlockCase>& BlockCases() {
  static const std::vector<BlockCase> cases = [] {
    std::vector<BlockCase> list;
    for (const Map& map : {Map{7, 7}, Map{14, 14}, Map{13, 9}, Map{5}, Map{6, 6, 6}}) {
      for (const std::int64_t block : {1, 2, 3, 7, 20}) list.push_back({map, block});
    }
    return list;
  }();
  return cases;
}

// Kept share of each of `masks` maps, one a sample.
Moments DroppedShare(const BlockCase& c, double p, DropBlockOptions::Gamma gamma,
                     std::int64_t masks) {
  DropBlockOptions options;
  options.block_size = {c.block};
  options.gamma = gamma;
  const LayerConfig config = ConfigOf(options, p);
  Sizes shape = {masks, 1};
  shape.insert(shape.end(), c.map.begin(), c.map.end());
  const PackedBits bits = DrawBits(MakePlanOf({config, Mode::kTrain, {1, 0, 0}, shape}));
  const std::size_t size = bits.count() / static_cast<std::size_t>(masks);
  Moments moments;
  for (std::size_t at = 0; at < bits.count(); at += size) {
    moments.Add(1.0 - static_cast<double>(bits.CountKept(at, size)) / static_cast<double>(size));
  }
  return moments;
}

// The expected dropped share for seed rate gamma, position by position.
double ExpectedShare(const BlockCase& c, double gamma) {
  double kept = 0;
  std::size_t positions = 1;
  for (const std::int64_t size : c.map) positions *= static_cast<std::size_t>(size);
  for (std::size_t position = 0; position < positions; ++position) {
    double blocks = 1;
    std::size_t rest = position;
    for (const std::int64_t size : c.map) {
      const auto x = static_cast<std::int64_t>(rest % static_cast<std::size_t>(size));
      rest /= static_cast<std::size_t>(size);
      const std::int64_t block = std::min(c.block, size);
      std::int64_t covers = 0;
      for (std::int64_t start = 0; start + block <= size; ++start) {
        covers += start <= x && x < start + block ? 1 : 0;
      }
      blocks *= static_cast<double>(covers);
    }
    kept += std::pow(1 - gamma, blocks);
  }
  return 1 - kept / static_cast<double>(positions);
}

Map BlocksOf(const BlockCase& c) {
  Map blocks;
  for (const std::int64_t size : c.map) blocks.push_back(std::min(c.block, size));
  return blocks;
}

TEST(DropBlockLaw, ExactRatesAreP) {
  for (const BlockCase& c : BlockCases()) {
    for (const double p : {0.05, 0.1, 0.3}) {
      SCOPED_TRACE(testing::PrintToString(c.map) + " block " + std::to_string(c.block) + " p " +
                   std::to_string(p));
      const double gamma = SeedRate(p, c.map, BlocksOf(c), DropBlockOptions::Gamma::kExact);
      EXPECT_NEAR(ExpectedShare(c, gamma), p, 1e-12);
      const Moments share = DroppedShare(c, p, DropBlockOptions::Gamma::kExact, 100'000 / kShrink);
      EXPECT_LT(std::abs(share.mean() - p), kSigmas * share.mean_error());
    }
  }
}

// A seed rate of 1 has no threshold.
TEST(DropBlockLaw, RatesAreBelow1) {
  for (const BlockCase& c : BlockCases()) {
    for (double q = 0x1p-53; q < 1; q *= 1.7) {
      for (const auto gamma : {DropBlockOptions::Gamma::kExact, DropBlockOptions::Gamma::kPaper}) {
        const double rate = SeedRate(1 - q, c.map, BlocksOf(c), gamma);
        ASSERT_GT(rate, 0.0) << testing::PrintToString(c.map) << " block " << c.block << " " << q;
        ASSERT_LT(rate, 1.0) << testing::PrintToString(c.map) << " block " << c.block << " " << q;
      }
    }
  }
}

TEST(DropBlockLaw, PaperRatesAreItsFormulas) {
  for (const BlockCase& c : BlockCases()) {
    const double p = 0.1;
    double gamma = p;
    for (std::size_t i = 0; i < c.map.size(); ++i) {
      const double block = static_cast<double>(std::min(c.block, c.map[i]));
      const double size = static_cast<double>(c.map[i]);
      gamma *= size / (block * (size - block + 1));
    }
    EXPECT_NEAR(SeedRate(p, c.map, BlocksOf(c), DropBlockOptions::Gamma::kPaper), gamma, 1e-15);
    const Moments share = DroppedShare(c, p, DropBlockOptions::Gamma::kPaper, 100'000 / kShrink);
    EXPECT_LT(std::abs(share.mean() - ExpectedShare(c, gamma)), kSigmas * share.mean_error())
        << testing::PrintToString(c.map) << " block " << c.block;
  }
}

TEST(DropBlockLaw, KnownGamma) {
  EXPECT_NEAR(SeedRate(0.1, Map{14, 14}, Map{7, 7}, DropBlockOptions::Gamma::kExact), 0.0067644,
              5e-8);
}

// --- Alpha --------------------------------------------------------------------------------

TEST(AlphaLaw, KeepsMean0AndVariance1) {
  constexpr std::int64_t kElements = 10'000'000 / kShrink;
  std::vector<double> x(kElements);
  kernels::NormalDeviates(MakeNoiseStream({3, "input", KeyKind::kStep, 0}), 0, x.size(), x.data());
  std::vector<double> y(x.size());
  for (const double p : {0.05, 0.1, 0.3, 0.5}) {
    const Call call{ConfigOf(AlphaOptions{}, p), Mode::kTrain, {1, 0, 0}, {kElements}};
    DrawAndApply(MakePlanOf(call), DataType::kFloat64, x.data(), y.data());
    Moments first;
    Moments second;
    for (const double value : y) {
      first.Add(value);
      second.Add(value * value);
    }
    EXPECT_LT(std::abs(first.mean()), kSigmas * first.mean_error()) << p;
    EXPECT_LT(std::abs(second.mean() - 1), kSigmas * second.mean_error()) << p;
  }
}

TEST(AlphaLaw, KnownCoefficients) {
  const Plan plan = MakePlanOf({ConfigOf(AlphaOptions{}, 0.3), Mode::kTrain, {1, 0, 0}, {4}});
  EXPECT_NEAR(plan.scale, 0.8609526, 5e-8);
  EXPECT_NEAR(plan.shift, 0.4540921, 5e-8);
}

// --- Gaussian and concrete ----------------------------------------------------------------

TEST(GaussianLaw, MultipliersHaveMean1AndVariancePOverQ) {
  constexpr std::int64_t kElements = 100'000'000 / kShrink;
  constexpr std::int64_t kPiece = 1'000'000 / kShrink;
  const double p = 0.3;
  Moments first;
  Moments second;
  for (std::int64_t at = 0; at < kElements; at += kPiece) {
    const Plan plan =
        MakePlanOf({ConfigOf(GaussianOptions{}, p), Mode::kTrain, {1, 0, at}, {kPiece}});
    for (const double m : DrawMultipliers(plan)) {
      first.Add(m - 1);
      second.Add((m - 1) * (m - 1));
    }
  }
  EXPECT_LT(std::abs(first.mean()), kSigmas * first.mean_error());
  EXPECT_LT(std::abs(second.mean() - p / (1 - p)), kSigmas * second.mean_error());
}

TEST(ConcreteLaw, RoundedNoiseDropsWithP) {
  const double p = 0.3;
  const LayerConfig config = ConfigOf(ConcreteOptions{}, p);
  constexpr std::int64_t kElements = 10'000'000 / kShrink;
  const Plan plan = MakePlan(config, Mode::kTrain, RateAt(config, 0, InitialParameters(config)),
                             {1, 0, 0}, MakeShape({kElements}))
                        .value();
  Moments dropped;
  // z > 1/2 where logit p + logit u > 0, with probability p.
  for (const double m : DrawMultipliers(plan)) dropped.Add(m * plan.rate.q < 0.5 ? 1.0 : 0.0);
  EXPECT_LT(std::abs(dropped.mean() - p), kSigmas * dropped.mean_error());
}

// --- Stochastic depth ---------------------------------------------------------------------

TEST(StochasticDepthLaw, LinearDecayIsRealised) {
  constexpr std::int64_t kDepth = 8;
  constexpr std::int64_t kSamples = 1'000'000 / kShrink;
  for (std::int64_t depth = 1; depth <= kDepth; ++depth) {
    StochasticDepthOptions options;
    options.depth_index = depth;
    options.depth_count = kDepth;
    const LayerConfig config = ConfigOf(options, 0.5);
    const DropRate rate = RateAt(config, 0, {});
    EXPECT_EQ(rate.p, 0.5 * static_cast<double>(depth) / kDepth);
    const Plan plan = MakePlan(config, Mode::kTrain, rate,
                               {1, static_cast<std::uint64_t>(depth), 0}, MakeShape({kSamples, 3}))
                          .value();
    const PackedBits bits = DrawBits(plan);
    ASSERT_EQ(bits.count(), static_cast<std::size_t>(kSamples));
    const double kept = static_cast<double>(bits.CountKept(0, bits.count()));
    const double n = static_cast<double>(kSamples);
    EXPECT_LT(std::abs(kept - n * rate.q), kSigmas * std::sqrt(n * rate.p * rate.q)) << depth;
  }
}

}  // namespace
}  // namespace dropoutd
