// The law of the bits: how often they are 0, and that they are independent of each other.
// Seeds are fixed, so that a run of 5 sigma is a fault and not bad luck.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "server/dropout/pass.h"
#include "server/dropout/plan.h"
#include "tests/dropout/naive_forward.h"
#include "tests/kernels/naive.h"

namespace dropoutd {
namespace {

constexpr std::int64_t kElements = naive::kSanitized ? 1'000'000 : 100'000'000;
constexpr std::int64_t kChunk = 1 << 19;  // Elements at a time: their bits fit the caches.
constexpr double kSigmas = 5;
constexpr double kProbabilities[] = {1e-6, 0.001, 0.1, 0.3, 0.5, 0.9, 0.999};

using Words = std::vector<std::uint64_t>;

struct Coordinate {
  std::uint64_t seed = 1;
  std::uint64_t step = 0;
  const char* layer_id = "drop";
};

// The dropped elements of samples first .. first + count - 1, one bit each; the tensor is
// one value a sample.
Words Dropped(const Coordinate& at, double p, std::int64_t first, std::int64_t count) {
  LayerConfig config = MakeConfig(p);
  config.layer_id = at.layer_id;
  const PackedBits kept =
      DrawBits(MakePlanOf({config, Mode::kTrain, {at.seed, at.step, first}, {count}}));
  Words words((kept.count() + 63) / 64);
  std::memcpy(words.data(), kept.data(), kept.byte_size());
  for (std::uint64_t& word : words) word = ~word;
  if (kept.count() % 64 != 0) words.back() &= (std::uint64_t{1} << (kept.count() % 64)) - 1;
  return words;
}

std::int64_t Count(const Words& words) {
  std::int64_t count = 0;
  for (const std::uint64_t word : words) count += std::popcount(word);
  return count;
}

// Elements from `lag` on, moved to the front; the last `lag` are 0.
Words Lagged(const Words& words, std::size_t lag) {
  Words lagged(words.size());
  const std::size_t skip = lag / 64;
  const std::size_t shift = lag % 64;
  for (std::size_t i = 0; i + skip < words.size(); ++i) {
    lagged[i] = words[i + skip] >> shift;
    if (shift != 0 && i + skip + 1 < words.size()) {
      lagged[i] |= words[i + skip + 1] << (64 - shift);
    }
  }
  return lagged;
}

// The first n elements, n a multiple of 64 or all.
Words First(const Words& words, std::size_t n) {
  return {words.begin(),
          words.begin() + static_cast<std::ptrdiff_t>(std::min(n / 64, words.size()))};
}

// How far a sum of n independent indicators of probability p is off, in sigmas.
double Sigmas(std::int64_t count, std::int64_t n, double p) {
  const auto trials = static_cast<double>(n);
  return (static_cast<double>(count) - trials * p) / std::sqrt(trials * p * (1 - p));
}

// Sum of (a - p)(b - p) over pairs of indicators. For independent ones its mean is 0 and
// its variance p^2 (1 - p)^2 a pair, also where neighbouring pairs share an element.
class Covariance {
 public:
  explicit Covariance(double p) : p_(p) {}

  void Add(const Words& a, const Words& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      both_ += std::popcount(a[i] & b[i]);
      sum_ += std::popcount(a[i]) + std::popcount(b[i]);
    }
    pairs_ += static_cast<std::int64_t>(a.size()) * 64;
  }

  double Sigmas() const {
    const auto n = static_cast<double>(pairs_);
    const double centred =
        static_cast<double>(both_) - p_ * static_cast<double>(sum_) + n * p_ * p_;
    return centred / (std::sqrt(n) * p_ * (1 - p_));
  }

 private:
  double p_;
  std::int64_t both_ = 0;
  std::int64_t sum_ = 0;
  std::int64_t pairs_ = 0;
};

class LawTest : public testing::TestWithParam<double> {};

TEST_P(LawTest, DropRate) {
  const double p = GetParam();
  for (const Coordinate& at : {Coordinate{1, 0, "drop"}, Coordinate{~0ull, 1ull << 40, "other"}}) {
    std::int64_t dropped = 0;
    for (std::int64_t first = 0; first < kElements; first += kChunk) {
      dropped += Count(Dropped(at, p, first, std::min(kChunk, kElements - first)));
    }
    EXPECT_LT(std::fabs(Sigmas(dropped, kElements, p)), kSigmas) << dropped;
  }
}

TEST_P(LawTest, NeighboursAreIndependent) {
  const double p = GetParam();
  constexpr std::size_t kLags[] = {1, 2, 3, 8, 16, 17, 32, 64, 4096};
  std::vector<Covariance> covariances(std::size(kLags), Covariance(p));
  for (std::int64_t first = 0; first < kElements; first += kChunk) {
    const Words words = Dropped({}, p, first, kChunk);
    for (std::size_t i = 0; i < std::size(kLags); ++i) {
      // Without the chunk's last elements, whose partners are in the next chunk.
      const std::size_t n = kChunk - (kLags[i] + 63) / 64 * 64;
      covariances[i].Add(First(words, n), First(Lagged(words, kLags[i]), n));
    }
  }
  for (std::size_t i = 0; i < std::size(kLags); ++i) {
    EXPECT_LT(std::fabs(covariances[i].Sigmas()), kSigmas) << "lag " << kLags[i];
  }
}

TEST_P(LawTest, CoordinatesAreIndependent) {
  const double p = GetParam();
  const Coordinate base;
  const Coordinate others[] = {
      {1, 1, "drop"}, {1, 2, "drop"}, {1, 1ull << 32, "drop"}, {1, 0, "drop2"},
      {1, 0, "Drop"}, {2, 0, "drop"}, {0, 0, "drop"},          {1ull << 32, 0, "drop"},
  };
  std::vector<Covariance> covariances(std::size(others), Covariance(p));
  for (std::int64_t first = 0; first < kElements; first += kChunk) {
    const Words words = Dropped(base, p, first, kChunk);
    for (std::size_t i = 0; i < std::size(others); ++i) {
      covariances[i].Add(words, Dropped(others[i], p, first, kChunk));
    }
  }
  for (std::size_t i = 0; i < std::size(others); ++i) {
    EXPECT_LT(std::fabs(covariances[i].Sigmas()), kSigmas)
        << "seed " << others[i].seed << " step " << others[i].step << " layer "
        << others[i].layer_id;
  }
}

// The drop rate among ties alone: they are the elements whose byte is not below `top`, nor
// above it. Ties are 1 in 256, so that a fault of theirs hides in the rate of all.
TEST_P(LawTest, TiesAreDroppedAtTheirOwnRate) {
  const double p = GetParam();
  LayerConfig config = MakeConfig(p);
  Plan plan = MakePlanOf({config, Mode::kTrain, {1, 0, 0}, {kChunk}});
  const kernels::BernoulliStream stream = plan.stream;
  const std::uint64_t top = stream.threshold >> 56;
  const double rest = std::ldexp(static_cast<double>(stream.threshold << 8), -64);
  kernels::BernoulliStream below = stream;  // Drops bytes below `top`.
  below.threshold = top << 56;
  kernels::BernoulliStream up_to = stream;  // Drops bytes up to `top`.
  up_to.threshold = (top + 1) << 56;        // 0 where top is 255, and all are dropped.
  std::int64_t ties = 0;
  std::int64_t dropped = 0;
  Words low(kChunk / 64);
  Words high(kChunk / 64);
  Words drawn(kChunk / 64);
  const auto draw = [](const kernels::BernoulliStream& s, std::uint64_t first, Words& words) {
    kernels::BernoulliBits(s, first, kChunk, reinterpret_cast<std::uint8_t*>(words.data()));
  };
  for (std::int64_t first = 0; first < kElements; first += kChunk) {
    const auto index = static_cast<std::uint64_t>(first);
    draw(below, index, low);
    draw(stream, index, drawn);
    if (top == 255) {
      std::fill(high.begin(), high.end(), 0);
    } else {
      draw(up_to, index, high);
    }
    for (std::size_t i = 0; i < low.size(); ++i) {
      const std::uint64_t tied = low[i] & ~high[i];
      ties += std::popcount(tied);
      dropped += std::popcount(tied & ~drawn[i]);
      // Elements off the tie are decided by their byte alone.
      ASSERT_EQ(drawn[i] & ~tied, low[i] & high[i]);
    }
  }
  const std::int64_t n = (kElements + kChunk - 1) / kChunk * kChunk;
  EXPECT_LT(std::fabs(Sigmas(ties, n, 1.0 / 256)), kSigmas) << ties;
  if (rest == 0) {
    EXPECT_EQ(dropped, 0);
  } else {
    EXPECT_LT(std::fabs(Sigmas(dropped, ties, rest)), kSigmas) << dropped << " of " << ties;
  }
}

INSTANTIATE_TEST_SUITE_P(, LawTest, testing::ValuesIn(kProbabilities), [](const auto& param_info) {
  std::string name("p");
  name += testing::PrintToString(param_info.param);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
});

}  // namespace
}  // namespace dropoutd
