#include "server/kernels/deviates.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <set>
#include <vector>

#include "tests/kernels/naive.h"
#include "tests/kernels/naive_noise.h"
#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd::kernels {
namespace {

constexpr std::size_t kMaxCount = 130;
constexpr std::size_t kOffsets = 9;
constexpr double kGuard = -12345;

using Kernel = void (*)(const NoiseStream&, std::uint64_t, std::size_t, double*);
using Twin = double (*)(const NoiseStream&, std::uint64_t);

struct Law {
  const char* name;
  Kernel kernel;
  Twin twin;
};
constexpr Law kLaws[] = {{"normal", NormalDeviates, naive::NormalDeviate},
                         {"uniform", UniformDeviates, naive::UniformDeviate}};

constexpr NoiseStream kStream = {{0x08195365, 0x6D2800EE}, 0x97C10999};

// Index ranges that start in kOffsets places from here on.
constexpr std::uint64_t kBases[] = {
    0,
    (std::uint64_t{1} << 32) - 70,  // The index's lower word ends.
    (std::uint64_t{1} << 33) - 70,  // The block's lower word ends.
    (std::uint64_t{1} << 63) - kMaxCount - kOffsets + 1,
};

std::vector<std::uint64_t> Bits(const std::vector<double>& values) {
  std::vector<std::uint64_t> bits;
  for (const double value : values) bits.push_back(std::bit_cast<std::uint64_t>(value));
  return bits;
}

std::vector<std::uint64_t> Expected(const Law& law, const NoiseStream& stream, std::uint64_t first,
                                    std::size_t count) {
  std::vector<std::uint64_t> bits;
  for (std::size_t i = 0; i < count; ++i) {
    bits.push_back(std::bit_cast<std::uint64_t>(law.twin(stream, first + i)));
  }
  return bits;
}

class DeviatesTest : public SimdTargetFixture {};

TEST_P(DeviatesTest, AgreeWithTwinAtEveryCountAndOffset) {
  for (const Law& law : kLaws) {
    for (const std::uint64_t base : kBases) {
      for (std::uint64_t first = base; first < base + kOffsets; ++first) {
        auto expected = Expected(law, kStream, first, kMaxCount);
        expected.push_back(std::bit_cast<std::uint64_t>(kGuard));
        for (std::size_t count = 0; count <= kMaxCount; ++count) {
          std::vector<double> drawn(count + 2, kGuard);
          law.kernel(kStream, first, count, drawn.data() + 1);
          ASSERT_EQ(drawn.front(), kGuard);
          ASSERT_EQ(drawn.back(), kGuard);
          const auto bits = Bits(drawn);
          ASSERT_TRUE(std::equal(bits.begin() + 1, bits.end() - 1, expected.begin()))
              << law.name << " first " << first << " count " << count;
        }
      }
    }
  }
}

TEST_P(DeviatesTest, AgreeWithTwinOverMany) {
  constexpr std::size_t kMany = naive::kSanitized ? 10'000 : 1'000'000;
  for (const Law& law : kLaws) {
    std::vector<double> drawn(kMany);
    law.kernel(kStream, 1'000'001, kMany, drawn.data());
    ASSERT_EQ(Bits(drawn), Expected(law, kStream, 1'000'001, kMany)) << law.name;
  }
}

TEST_P(DeviatesTest, KeysCountersAndLawsGiveOtherDeviates) {
  std::set<double> seen;
  for (const Law& law : kLaws) {
    for (const NoiseStream& stream :
         {NoiseStream{{0, 0}, 0}, NoiseStream{{1, 0}, 0}, NoiseStream{{0, 1}, 0},
          NoiseStream{{0, 0}, 1}, NoiseStream{{~0u, ~0u}, ~0u}}) {
      std::vector<double> drawn(2);
      law.kernel(stream, 0, 2, drawn.data());
      EXPECT_EQ(Bits(drawn), Expected(law, stream, 0, 2));
      seen.insert(drawn.begin(), drawn.end());
    }
  }
  EXPECT_EQ(seen.size(), 20u);
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(DeviatesTest);

}  // namespace
}  // namespace dropoutd::kernels
