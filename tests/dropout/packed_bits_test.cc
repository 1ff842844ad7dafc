#include "server/dropout/packed_bits.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/kernels/naive.h"

namespace dropoutd {
namespace {

TEST(PackedBits, SizesInBytes) {
  for (const std::size_t count : {0, 1, 7, 8, 9, 64, 65}) {
    const PackedBits bits(count);
    EXPECT_EQ(bits.count(), count);
    EXPECT_EQ(bits.byte_size(), (count + 7) / 8);
    EXPECT_EQ(bits.bytes().size(), (count + 7) / 8);
  }
}

TEST(PackedBits, AllKeptLeavesUnusedBits0) {
  for (std::size_t count = 0; count <= 70; ++count) {
    const auto expected = naive::Pack(std::vector<bool>(count, true));
    EXPECT_EQ(PackedBits::AllKept(count).bytes(), std::string(expected.begin(), expected.end()));
  }
}

TEST(PackedBits, ReadGivesEveryRange) {
  constexpr std::size_t kCount = 173;
  const auto bytes = naive::RandomBytes((kCount + 7) / 8, 3);
  PackedBits bits(kCount);
  std::memcpy(bits.data(), bytes.data(), bytes.size());
  for (std::size_t at = 0; at <= kCount; ++at) {
    for (std::size_t n = 0; n <= 56 && at + n <= kCount; ++n) {
      std::uint64_t expected = 0;
      for (std::size_t i = 0; i < n; ++i) {
        expected |= std::uint64_t{naive::Bit(bytes, at + i)} << i;
      }
      ASSERT_EQ(bits.Read(at, n), expected) << at << " " << n;
    }
  }
}

}  // namespace
}  // namespace dropoutd
