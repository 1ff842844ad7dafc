#include "server/random/numpy_legacy.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/random/mask_vectors.h"

namespace dropoutd {
namespace {

std::size_t Product(const nlohmann::json& sizes) {
  std::size_t product = 1;
  for (const auto& size : sizes) product *= size.get<std::size_t>();
  return product;
}

TEST(NumpyLegacyStream, KnownDoubles) {
  for (const auto& vector : MaskVectors("numpy_legacy_streams")) {
    NumpyLegacyStream stream(ToUint64(vector.at("seed")));
    for (const auto& expected : vector.at("doubles")) {
      EXPECT_EQ(stream.Next(), HexToDouble(expected)) << vector.at("seed");
    }
  }
}

TEST(NumpyLegacyStream, KnownSessions) {
  for (const auto& vector : MaskVectors("numpy_legacy_sessions")) {
    NumpyLegacyStream stream(ToUint64(vector.at("seed")));
    for (const auto& forward : vector.at("forwards")) {
      const std::size_t count = Product(forward.at("noise_shape"));
      std::vector<std::uint8_t> bits((count + 7) / 8, 0xA5);
      stream.KeepBits(forward.at("p"), count, bits.data());
      EXPECT_EQ(BytesToHex(bits.data(), bits.size()), forward.at("bits")) << forward;
    }
  }
}

TEST(NumpyLegacyStream, KeepsWhereTheDoubleIsAboveP) {
  NumpyLegacyStream doubles(7);
  NumpyLegacyStream masks(7);
  for (const double p : {0.0, 0.25, 0.5, 0.999}) {
    constexpr std::size_t kCount = 1001;
    std::vector<std::uint8_t> bits((kCount + 7) / 8);
    masks.KeepBits(p, kCount, bits.data());
    for (std::size_t i = 0; i < kCount; ++i) {
      ASSERT_EQ((bits[i / 8] >> (i % 8) & 1) != 0, doubles.Next() > p) << p << " " << i;
    }
    EXPECT_EQ(bits.back() >> (kCount % 8), 0);
  }
}

TEST(NumpyLegacyStream, WritesNoByteTooMuch) {
  for (std::size_t count = 0; count <= 33; ++count) {
    NumpyLegacyStream stream(1);
    std::vector<std::uint8_t> bits((count + 7) / 8 + 8, 0xA5);
    stream.KeepBits(0.5, count, bits.data());
    for (std::size_t i = (count + 7) / 8; i < bits.size(); ++i) EXPECT_EQ(bits[i], 0xA5) << count;
  }
}

TEST(NumpyLegacyStream, SplitsOfADrawContinueTheStream) {
  NumpyLegacyStream whole(42);
  NumpyLegacyStream parts(42);
  std::uint8_t expected[4];
  std::uint8_t drawn[4];
  whole.KeepBits(0.3, 32, expected);
  for (int i = 0; i < 4; ++i) parts.KeepBits(0.3, 8, drawn + i);
  EXPECT_EQ(BytesToHex(drawn, 4), BytesToHex(expected, 4));
}

TEST(NumpyLegacyStream, DoublesAreBelowOne) {
  NumpyLegacyStream stream(NumpyLegacyStream::kMaxSeed);
  for (int i = 0; i < 100000; ++i) {
    const double u = stream.Next();
    ASSERT_TRUE(u >= 0 && u < 1) << u;
  }
}

}  // namespace
}  // namespace dropoutd
