#include "server/random/mask_key.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tests/random/mask_vectors.h"

namespace dropoutd {
namespace {

using KeyWords = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;

KeyWords Words(const MaskKey& key) {
  const kernels::BernoulliStream stream = MakeBernoulliStream(key, 0.5);
  return {stream.key[0], stream.key[1], stream.counter2};
}

TEST(MakeBernoulliStream, KnownKeys) {
  std::set<std::string> kinds;
  for (const auto& vector : MaskVectors("keys")) {
    const auto word = [&](std::size_t i) {
      return static_cast<std::uint32_t>(HexToUint64(vector.at("key").at(i)));
    };
    EXPECT_EQ(Words(ToMaskKey(vector)), KeyWords(word(0), word(1), word(2))) << vector;
    kinds.insert(vector.at("keyed_by"));
  }
  EXPECT_EQ(kinds.size(), 2u);
}

TEST(MakeBernoulliStream, KnownThresholds) {
  for (const auto& vector : MaskVectors("masks")) {
    const double p = vector.at("p");
    EXPECT_EQ(MakeBernoulliStream(ToMaskKey(vector), p).threshold, ToUint64(vector.at("threshold")))
        << p;
    EXPECT_EQ(BernoulliThreshold(p), ToUint64(vector.at("threshold"))) << p;
  }
}

TEST(MakeBernoulliStream, KeyDoesNotDependOnP) {
  const MaskKey key{1, "drop", KeyKind::kStep, 7};
  for (const double p : {0.0, 1e-300, 0.3, 0.999}) {
    const auto stream = MakeBernoulliStream(key, p);
    EXPECT_EQ(KeyWords(stream.key[0], stream.key[1], stream.counter2), Words(key));
  }
}

TEST(MakeBernoulliStream, EveryCoordinateGivesItsOwnKey) {
  const std::vector<std::string_view> layers = {"", "a", "b", "ab", "ba", {"a\0", 2}};
  std::set<KeyWords> seen;
  std::size_t count = 0;
  for (const std::uint64_t seed : {0ull, 1ull, 1ull << 32, ~0ull}) {
    for (const std::string_view layer : layers) {
      for (const KeyKind kind : {KeyKind::kStep, KeyKind::kSequence}) {
        for (const std::uint64_t value : {0ull, 1ull, 1ull << 32, ~0ull}) {
          seen.insert(Words({seed, layer, kind, value}));
          ++count;
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), count);
}

TEST(BernoulliThreshold, IsTheFloorOfPTimes2To64) {
  constexpr std::uint64_t kTop = std::uint64_t{1} << 63;
  EXPECT_EQ(BernoulliThreshold(0.0), 0u);
  EXPECT_EQ(BernoulliThreshold(-0.0), 0u);
  EXPECT_EQ(BernoulliThreshold(std::numeric_limits<double>::denorm_min()), 0u);
  EXPECT_EQ(BernoulliThreshold(std::numeric_limits<double>::min()), 0u);
  EXPECT_EQ(BernoulliThreshold(0x1p-65), 0u);
  EXPECT_EQ(BernoulliThreshold(std::nextafter(0x1p-64, 0)), 0u);
  EXPECT_EQ(BernoulliThreshold(0x1p-64), 1u);
  EXPECT_EQ(BernoulliThreshold(std::nextafter(0x1p-63, 0)), 1u);
  EXPECT_EQ(BernoulliThreshold(0x1p-63), 2u);
  EXPECT_EQ(BernoulliThreshold(0.25), kTop / 2);
  EXPECT_EQ(BernoulliThreshold(0.5), kTop);
  EXPECT_EQ(BernoulliThreshold(std::nextafter(0.5, 0)), kTop - (1u << 10));
  EXPECT_EQ(BernoulliThreshold(1 - 0x1p-53), ~std::uint64_t{0} - (1u << 11) + 1);
}

TEST(BernoulliThreshold, IsExactFrom2ToMinus12Up) {
  for (double p = 0x1p-12; p < 1; p = std::nextafter(p * 1.37, 1)) {
    // Back by halves, so that neither is rounded.
    const std::uint64_t threshold = BernoulliThreshold(p);
    EXPECT_EQ(std::ldexp(static_cast<double>(threshold >> 32), -32) +
                  std::ldexp(static_cast<double>(threshold & 0xFFFFFFFF), -64),
              p);
  }
}

}  // namespace
}  // namespace dropoutd
