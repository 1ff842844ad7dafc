#include "server/random/philox.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/random/mask_vectors.h"

namespace dropoutd {
namespace {

template <typename Words>
Words ToWords(const nlohmann::json& list) {
  Words words{};
  EXPECT_EQ(list.size(), words.size());
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = static_cast<std::uint32_t>(HexToUint64(list.at(i)));
  }
  return words;
}

TEST(Philox4x32, KnownAnswers) {
  for (const auto& vector : MaskVectors("philox4x32_10")) {
    EXPECT_EQ(Philox4x32(ToWords<PhiloxCounter>(vector.at("counter")),
                         ToWords<PhiloxKey>(vector.at("key"))),
              ToWords<PhiloxBlock>(vector.at("output")))
        << vector;
  }
}

// Random123's own known answers, spelled out, so that a wrong file cannot hide a fault.
TEST(Philox4x32, PublishedAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (PhiloxBlock{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  EXPECT_EQ(Philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (PhiloxBlock{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
  EXPECT_EQ(Philox4x32({0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, {0xA4093822, 0x299F31D0}),
            (PhiloxBlock{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

TEST(Philox4x32, EveryBitOfCounterAndKeyChangesTheAnswer) {
  std::set<PhiloxBlock> blocks = {Philox4x32({1, 2, 3, 4}, {5, 6})};
  for (std::size_t bit = 0; bit < 192; ++bit) {
    PhiloxCounter counter = {1, 2, 3, 4};
    PhiloxKey key = {5, 6};
    (bit < 128 ? counter[bit / 32] : key[bit / 32 - 4]) ^= 1u << (bit % 32);
    EXPECT_TRUE(blocks.insert(Philox4x32(counter, key)).second) << bit;
  }
}

}  // namespace
}  // namespace dropoutd
