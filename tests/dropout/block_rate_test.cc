// The seed rate of drop_block: its rule word for word, and the time that it takes for any p.
#include "server/dropout/block_rate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "server/dropout/drop_block.h"
#include "server/random/mask_key.h"
#include "tests/dropout/naive_forward.h"
#include "tests/kernels/naive.h"
#include "tests/random/mask_vectors.h"

namespace dropoutd {
namespace {

using Gamma = DropBlockOptions::Gamma;

constexpr double kTinyP = 0x1p-40;
constexpr int kMaxSteps = 4096;

// --- docs/mask-format.md, section 9, word for word ----------------------------------------------

// Shares of the positions that c blocks cover, by rising c.
std::map<std::int64_t, double> Shares(const Sizes& sizes, const Sizes& blocks) {
  std::map<std::int64_t, double> counts = {{1, 1.0}};
  double positions = 1.0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    positions *= static_cast<double>(sizes[i]);
    std::map<std::int64_t, double> axis, product;
    for (std::int64_t x = 0; x < sizes[i]; ++x) {
      const std::int64_t first = std::max<std::int64_t>(0, x - blocks[i] + 1);
      axis[std::min(x, sizes[i] - blocks[i]) - first + 1] += 1.0;
    }
    for (const auto& [a, places_a] : counts) {
      for (const auto& [b, places_b] : axis) product[a * b] += places_a * places_b;
    }
    counts = product;
  }
  for (auto& [count, places] : counts) places /= positions;
  return counts;
}

double Power(double base, std::int64_t exponent) {
  double power = 1.0;
  for (; exponent != 0; exponent >>= 1, base *= base) {
    if ((exponent & 1) != 0) power *= base;
  }
  return power;
}

double NaiveExactRate(double p, const Sizes& sizes, const Sizes& blocks) {
  const std::map<std::int64_t, double> shares = Shares(sizes, blocks);
  double gamma = 0.0;
  for (int step = 0; step < kMaxSteps; ++step) {
    double kept = 0.0;
    double slope = 0.0;
    for (const auto& [count, share] : shares) {
      const double power = Power(1.0 - gamma, count - 1);
      kept += share * (power * (1.0 - gamma));
      slope += share * (static_cast<double>(count) * power);
    }
    if (p < kTinyP) return p / slope;
    const double next = gamma + (p - (1.0 - kept)) / slope;
    if (!(next > gamma) || next >= 1.0) break;
    gamma = next;
  }
  return gamma;
}

// The expected dropped share, without the cancellation of 1 - (1 - gamma)^c.
double DroppedShare(double gamma, const Sizes& sizes, const Sizes& blocks) {
  double share = 0.0;
  for (const auto& [count, weight] : Shares(sizes, blocks)) {
    share -= weight * std::expm1(static_cast<double>(count) * std::log1p(-gamma));
  }
  return share;
}

// --- Any p --------------------------------------------------------------------------------------

LayerConfig BlockLayer(std::int64_t block, double p, bool channels_last = false) {
  DropBlockOptions options;
  options.block_size = {block};
  options.channel_axis = channels_last ? -1 : 1;
  LayerConfig config;
  config.layer_id = "blocks";
  config.p = p;
  config.options = options;
  return config;
}

const Sizes kBlocks = {1, 3, 7};
const std::vector<Sizes> kMaps = {{8, 8}, {5}, {14, 13}, {7, 6, 9}};

Sizes Clamped(std::int64_t block, const Sizes& sizes) {
  Sizes blocks;
  for (const std::int64_t size : sizes) blocks.push_back(std::min(block, size));
  return blocks;
}

TEST(SeedRate, IsOfTheVectors) {
  std::map<std::string, int> kinds;
  for (const nlohmann::json& vector : MaskVectors("seed_rates")) {
    const std::string gamma = vector.at("gamma");
    const double rate = SeedRate(HexToDouble(vector.at("p")), vector.at("sizes").get<Sizes>(),
                                 vector.at("blocks").get<Sizes>(),
                                 gamma == "EXACT" ? Gamma::kExact : Gamma::kPaper);
    EXPECT_EQ(rate, HexToDouble(vector.at("rate"))) << vector;
    ++kinds[vector.at("steps") == kMaxSteps ? "cut" : gamma];
  }
  EXPECT_GT(kinds["EXACT"], 0);
  EXPECT_GT(kinds["PAPER"], 0);
  EXPECT_GT(kinds["cut"], 0);
}

TEST(SeedRate, DroppedShareIsPInEveryBinade) {
  for (const Sizes& sizes : kMaps) {
    for (const std::int64_t block : kBlocks) {
      const Sizes blocks = Clamped(block, sizes);
      double volume = 1.0;
      for (const std::int64_t size : blocks) volume *= static_cast<double>(size);
      for (int exponent = -1074; exponent < 0; ++exponent) {
        for (const double p : {std::ldexp(1.0, exponent), std::ldexp(1.7, exponent)}) {
          const double gamma = SeedRate(p, sizes, blocks, Gamma::kExact);
          // gamma itself is a multiple of 2^-1074.
          ASSERT_NEAR(DroppedShare(gamma, sizes, blocks), p, 1e-3 * p + volume * 0x1p-1074)
              << "p " << p << " block " << block << " map " << testing::PrintToString(sizes);
        }
      }
    }
  }
}

// What the server does with each of these rates: masks of at most the threshold's share.
TEST(SeedRate, EveryBinadeHasAMask) {
  for (const Sizes& sizes : kMaps) {
    for (const std::int64_t block : kBlocks) {
      Sizes shape = {2, 3};
      shape.insert(shape.end(), sizes.begin(), sizes.end());
      for (int exponent = -1074; exponent < 0; ++exponent) {
        const LayerConfig config = BlockLayer(block, std::ldexp(1.0, exponent));
        const Plan plan = MakePlanOf({config, Mode::kTrain, {1, 0, 0}, shape});
        const PackedBits bits = DrawBits(plan);
        ASSERT_EQ(bits.count(), static_cast<std::size_t>(plan.layout.noise.ElementCount()));
        if (exponent < -64) {
          ASSERT_EQ(plan.stream.threshold, 0u) << exponent;
          ASSERT_EQ(bits.CountKept(0, bits.count()), bits.count()) << exponent;
        }
      }
    }
  }
}

// Every bit of the rule, on maps and p of all kinds. DROPOUTD_SEED_RATES says on how many.
TEST(SeedRate, IsTheRulesToTheBit) {
  const char* const given = std::getenv("DROPOUTD_SEED_RATES");
  const int rates = given != nullptr ? std::stoi(given) : naive::kSanitized ? 1000 : 20'000;
  std::mt19937_64 random(1);
  const auto uniform = [&] { return std::ldexp(static_cast<double>(random() >> 11), -53); };
  const auto any_p = [&] {
    const double x = 1.0 + uniform();
    switch (random() % 4) {
      case 0:
        return std::ldexp(x, -1 - static_cast<int>(random() % 1074));
      case 1:
        return std::ldexp(x, -1 - static_cast<int>(random() % 40));
      case 2:
        return 1.0 - std::ldexp(x, -2 - static_cast<int>(random() % 51));
      default:
        return x / 2.0;
    }
  };
  for (int i = 0; i < rates; ++i) {
    Sizes sizes(1 + random() % 3), blocks;
    for (std::int64_t& size : sizes) {
      size = 1 + static_cast<std::int64_t>(std::exp(uniform() * 6.0 / std::sqrt(sizes.size())));
      blocks.push_back(
          1 + static_cast<std::int64_t>(uniform() * uniform() * static_cast<double>(size)));
    }
    const double p = any_p();
    ASSERT_EQ(std::bit_cast<std::uint64_t>(SeedRate(p, sizes, blocks, Gamma::kExact)),
              std::bit_cast<std::uint64_t>(NaiveExactRate(p, sizes, blocks)))
        << std::hexfloat << "p " << p << " map " << testing::PrintToString(sizes) << " blocks "
        << testing::PrintToString(blocks);
  }
}

// The most terms that EXACT takes, and the most steps.
TEST(SeedRate, LargestEquationEndsSoon) {
  const auto start = std::chrono::steady_clock::now();
  for (const double p : {5e-324, 0x1p-40, 0x1.f991d80000316p-32, 0.1, 0.5, 1.0 - 0x1p-53}) {
    for (const auto& [size, block] : {std::pair{std::int64_t{131'071}, std::int64_t{65'536}},
                                      {std::int64_t{1} << 27, std::int64_t{65'536}}}) {
      const double gamma = SeedRate(p, Sizes{size}, Sizes{block}, Gamma::kExact);
      EXPECT_GE(gamma, 0.0) << p;
      EXPECT_LT(gamma, 1.0) << p;
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

// --- Any seeds ----------------------------------------------------------------------------------

// The definition: a seed drops the block that starts at its place. Of one or two axes.
std::vector<bool> NaiveBlocks(Sizes map, Sizes blocks, const std::vector<bool>& seeds) {
  map.resize(2, 1);
  blocks.resize(2, 1);
  std::vector<bool> kept(static_cast<std::size_t>(map[0] * map[1]), true);
  std::size_t place = 0;
  for (std::int64_t x = 0; x + blocks[0] <= map[0]; ++x) {
    for (std::int64_t y = 0; y + blocks[1] <= map[1]; ++y) {
      if (!seeds[place++]) continue;
      for (std::int64_t i = x; i < x + blocks[0]; ++i) {
        for (std::int64_t j = y; j < y + blocks[1]; ++j) {
          kept[static_cast<std::size_t>(i * map[1] + j)] = false;
        }
      }
    }
  }
  return kept;
}

// Two samples of three channels against the definition.
void ExpectDefinition(const Sizes& map, const LayerConfig& config, bool channels_last) {
  constexpr std::size_t kSamples = 2;
  constexpr std::size_t kChannels = 3;
  Sizes shape = map;
  shape.insert(channels_last ? shape.end() : shape.begin(), kChannels);
  shape.insert(shape.begin(), kSamples);
  const Plan plan = MakePlanOf({config, Mode::kTrain, {1, 0, 0}, shape});
  const PackedBits bits = DrawBits(plan);
  const auto places = static_cast<std::size_t>(plan.blocks.places);
  for (std::size_t n = 0; n < kSamples * kChannels; ++n) {
    std::vector<bool> seeds;
    for (std::size_t i = 0; i < places; ++i) {
      seeds.push_back(!naive::IsKept(plan.stream, n * places + i));
    }
    const Sizes blocks(plan.blocks.blocks.begin(), plan.blocks.blocks.begin() + map.size());
    const std::vector<bool> expected = NaiveBlocks(map, blocks, seeds);
    const std::size_t size = expected.size();
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t element =
          channels_last ? (n / kChannels * size + i) * kChannels + n % kChannels : n * size + i;
      ASSERT_EQ(bits.Read(element, 1) == 1, expected[i]) << "map " << n << " element " << i;
    }
  }
}

// Low rates drop block by block, high ones spread: both are the definition.
TEST(DropBlock, BitsAreTheDefinitionAtAnyRate) {
  for (const Sizes& map : {Sizes{40}, Sizes{17, 23}, Sizes{64, 9}}) {
    for (const std::int64_t block : {1, 2, 5, 9, 40}) {
      for (const double p : {1e-3, 0.1, 0.5, 0.9, 0.99, 1.0 - 1e-6, 1.0 - 0x1p-53}) {
        for (const bool channels_last : {false, true}) {
          SCOPED_TRACE(testing::Message() << "map " << testing::PrintToString(map) << " block "
                                          << block << " p " << p << " last " << channels_last);
          ExpectDefinition(map, BlockLayer(block, p, channels_last), channels_last);
        }
      }
    }
  }
}

// Block after block, this would clear 2^39 bits.
TEST(DropBlock, ManyLargeBlocksEndSoon) {
  const auto start = std::chrono::steady_clock::now();
  const PackedBits bits = DrawBits(MakePlanOf(
      {BlockLayer(256, 1.0 - 0x1p-53, true), Mode::kTrain, {1, 0, 0}, {1, 4096, 4096, 1}}));
  EXPECT_LT(bits.CountKept(0, bits.count()), 100u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(120));
}

}  // namespace
}  // namespace dropoutd
