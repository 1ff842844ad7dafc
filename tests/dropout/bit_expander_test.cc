#include "server/dropout/bit_expander.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "tests/dropout/naive_forward.h"
#include "tests/kernels/naive.h"

namespace dropoutd {
namespace {

struct Structure {
  Sizes shape;
  std::vector<std::int32_t> axes;
};

NoiseLayout LayoutOf(const Structure& s) { return LayoutOf(MakeShape(s.shape), s.axes, 0).value(); }

// Noise of random bits.
PackedBits MakeNoise(const NoiseLayout& layout, std::uint64_t seed) {
  PackedBits noise(static_cast<std::size_t>(layout.noise.ElementCount()));
  const Bytes random = naive::RandomBytes(noise.byte_size(), seed);
  if (!random.empty()) std::memcpy(noise.data(), random.data(), random.size());
  return noise;
}

Bytes Expected(const Structure& s, const PackedBits& noise) {
  const auto shared = naive::SharedAxes(s.shape.size(), s.axes);
  std::vector<bool> bits(static_cast<std::size_t>(MakeShape(s.shape).ElementCount()));
  for (std::size_t i = 0; i < bits.size(); ++i) {
    bits[i] = noise.Read(naive::NoisePlace(s.shape, shared, i), 1) != 0;
  }
  return naive::Pack(bits);
}

// Expands all elements in pieces whose sizes are multiples of 8 up to `max_piece`.
Bytes Expand(const NoiseLayout& layout, const PackedBits& noise, std::size_t max_piece,
             std::mt19937_64& random) {
  const auto count = static_cast<std::size_t>(layout.tensor.ElementCount());
  constexpr std::size_t kGuard = 16;
  Bytes bits((count + 7) / 8 + kGuard, 0xA5);
  BitExpander expander(layout, noise);
  for (std::size_t at = 0; at < count;) {
    const std::size_t piece = 8 * (1 + random() % (max_piece / 8));
    const std::size_t n = std::min(piece, count - at);
    expander.Next(n, bits.data() + at / 8);
    at += n;
  }
  EXPECT_TRUE(std::all_of(bits.end() - kGuard, bits.end(), [](auto b) { return b == 0xA5; }));
  bits.resize(bits.size() - kGuard);
  return bits;
}

void CheckExpansion(const Structure& s, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const NoiseLayout layout = LayoutOf(s);
  const PackedBits noise = MakeNoise(layout, seed);
  const Bytes expected = Expected(s, noise);
  for (const std::size_t max_piece : {8, 64, 4096}) {
    ASSERT_EQ(Expand(layout, noise, max_piece, random), expected)
        << layout.tensor.ToString() << " from " << layout.noise.ToString() << " in pieces of "
        << max_piece;
  }
}

TEST(BitExpander, KnownStructures) {
  const Structure structures[] = {
      {{}, {}},
      {{1}, {0}},
      {{100}, {}},
      {{100}, {0}},
      {{3, 200}, {1}},
      {{3, 200}, {0}},
      {{200, 3}, {-1}},
      {{6, 5, 7}, {1}},
      {{6, 5, 7}, {0, 2}},
      {{6, 1, 7}, {1}},
      {{4, 16, 8, 8}, {2, 3}},
      {{2, 3, 2, 3, 2, 3, 2, 3}, {0, 2, 4, 6}},
      {{2, 3, 2, 3, 2, 3, 2, 3}, {0, 1, 2, 3, 4, 5, 6, 7}},
      {{2, 57, 3}, {1}},  // Around the longest piece of one step, 56.
      {{2, 3, 56}, {1}},
      {{2, 3, 57}, {2}},
  };
  for (const Structure& s : structures) CheckExpansion(s, 1);
}

TEST(BitExpander, RandomStructuresOfEveryRank) {
  std::mt19937_64 random(20240607);
  // The higher the rank, the smaller the axes, so that tensors stay below some thousands.
  constexpr std::uint64_t kMaxSize[] = {1, 3000, 90, 20, 9, 6, 4, 4, 3};
  for (int round = 0; round < (naive::kSanitized ? 30 : 300); ++round) {
    for (std::size_t rank = 0; rank <= Shape::kMaxRank; ++rank) {
      Structure s;
      for (std::size_t axis = 0; axis < rank; ++axis) {
        s.shape.push_back(static_cast<std::int64_t>(1 + random() % kMaxSize[rank]));
        if (random() % 2 == 0) s.axes.push_back(static_cast<std::int32_t>(axis));
      }
      CheckExpansion(s, random());
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(BitExpander, EmptyTensorsExpandToNothing) {
  for (const Structure& s : {Structure{{0}, {}}, Structure{{0}, {0}}, Structure{{3, 0, 4}, {1}},
                             Structure{{3, 0, 4}, {0, 2}}, Structure{{0, 5}, {0}}}) {
    const NoiseLayout layout = LayoutOf(s);
    const PackedBits noise = MakeNoise(layout, 1);
    BitExpander expander(layout, noise);
    std::uint8_t guard = 0xA5;
    expander.Next(0, &guard);
    EXPECT_EQ(guard, 0xA5);
  }
}

}  // namespace
}  // namespace dropoutd
