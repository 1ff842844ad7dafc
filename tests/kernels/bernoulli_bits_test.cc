#include "server/kernels/bernoulli_bits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tests/kernels/naive.h"
#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd::kernels {
namespace {

constexpr std::size_t kOffsets = 32;
constexpr std::size_t kMaxCount = 700;
constexpr std::size_t kGuard = 64;
constexpr std::uint8_t kGuardByte = 0xA5;

// With ties: every p whose threshold has bits below the upper 8.
constexpr std::uint64_t kThresholds[] = {
    0x4CCCCCCCCCCCCC00,  // 0.3
    0x8000000000000000,  // 0.5, without ties
    0,                   // Keeps all.
    1,                   // Drops only where all 72 bits are 0.
    0x00FFFFFFFFFFFFFF,  // Drops ties of the lowest byte, but for one in 2^64.
    0x0100000000000000,  // Drops the lowest byte, without ties.
    0xFF00000000000000,  // Keeps the highest byte, without ties.
    0xFFFFFFFFFFFFFFFF,  // Keeps only where all 72 bits are 1.
};

// Index ranges that start in kOffsets places from here on.
constexpr std::uint64_t kBases[] = {
    0, 4096 - 16, (std::uint64_t{1} << 32) - 350,        // The index's lower word ends.
    (std::uint64_t{1} << 36) - 350,                      // The block's lower word ends.
    (std::uint64_t{1} << 63) - kMaxCount - kOffsets + 1  // The last range ends the format.
};

BernoulliStream Stream(std::uint64_t threshold) {
  return {{{0x08195365, 0x6D2800EE}, 0x97C10999}, threshold};
}

// What the kernel writes for a range, between guards that it must not touch.
class GuardedBits {
 public:
  void Draw(const BernoulliStream& stream, std::uint64_t first, std::size_t count) {
    size_ = (count + 7) / 8;
    buffer_.assign(size_ + 2 * kGuard, kGuardByte);
    BernoulliBits(stream, first, count, buffer_.data() + kGuard);
  }

  std::vector<std::uint8_t> bits() const {
    return {buffer_.begin() + kGuard, buffer_.end() - kGuard};
  }

  bool GuardsAreWhole() const {
    const auto is_guard = [](std::uint8_t byte) { return byte == kGuardByte; };
    return std::all_of(buffer_.begin(), buffer_.begin() + kGuard, is_guard) &&
           std::all_of(buffer_.end() - kGuard, buffer_.end(), is_guard);
  }

 private:
  std::size_t size_ = 0;
  std::vector<std::uint8_t> buffer_;
};

// The first `count` bits of `bits`, which has more.
std::vector<std::uint8_t> Prefix(const std::vector<std::uint8_t>& bits, std::size_t count) {
  std::vector<std::uint8_t> prefix(bits.begin(), bits.begin() + (count + 7) / 8);
  if (count % 8 != 0) prefix.back() &= static_cast<std::uint8_t>((1u << (count % 8)) - 1);
  return prefix;
}

class BernoulliBitsTest : public SimdTargetFixture {
 protected:
  // Every count at one place.
  void CheckCounts(const BernoulliStream& stream, std::uint64_t first) {
    const auto expected = naive::BernoulliBits(stream, first, kMaxCount);
    GuardedBits drawn;
    for (std::size_t count = 0; count <= kMaxCount; count += naive::kSanitized ? 7 : 1) {
      drawn.Draw(stream, first, count);
      ASSERT_EQ(drawn.bits(), Prefix(expected, count)) << "first " << first << " count " << count;
      ASSERT_TRUE(drawn.GuardsAreWhole()) << "first " << first << " count " << count;
    }
  }
};

TEST_P(BernoulliBitsTest, AgreesWithTwinAtEveryCountAndOffset) {
  for (const std::uint64_t threshold : kThresholds) {
    for (const std::uint64_t base : kBases) {
      for (std::uint64_t offset = 0; offset < kOffsets; ++offset) {
        SCOPED_TRACE(threshold);
        CheckCounts(Stream(threshold), base + offset);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(BernoulliBitsTest, AgreesWithTwinAcrossTiles) {
  constexpr std::uint64_t kFirst = (std::uint64_t{1} << 36) - 6000;
  constexpr std::size_t kSizes[] = {4079, 4080, 4081, 4095, 4096,  4097,
                                    4111, 4112, 8191, 8192, 12287, 12301};
  for (const std::uint64_t threshold : kThresholds) {
    const BernoulliStream stream = Stream(threshold);
    for (std::uint64_t offset = 0; offset < kOffsets; offset += 3) {
      const auto expected = naive::BernoulliBits(stream, kFirst + offset, kSizes[11]);
      GuardedBits drawn;
      for (const std::size_t count : kSizes) {
        drawn.Draw(stream, kFirst + offset, count);
        ASSERT_EQ(drawn.bits(), Prefix(expected, count)) << offset << " " << count;
        ASSERT_TRUE(drawn.GuardsAreWhole());
      }
    }
  }
}

TEST_P(BernoulliBitsTest, KeysAndCountersReachEveryWord) {
  const BernoulliStream streams[] = {{{{0, 0}, 0}, kThresholds[0]},
                                     {{{~0u, 0}, 0}, kThresholds[0]},
                                     {{{0, ~0u}, 0}, kThresholds[0]},
                                     {{{0, 0}, ~0u}, kThresholds[0]},
                                     {{{~0u, ~0u}, ~0u}, kThresholds[0]}};
  std::set<std::string> seen;
  for (const BernoulliStream& stream : streams) {
    CheckCounts(stream, (std::uint64_t{1} << 36) - 350);
    if (HasFatalFailure()) return;
    const auto bits = naive::BernoulliBits(stream, 0, kMaxCount);
    EXPECT_TRUE(seen.emplace(bits.begin(), bits.end()).second);
  }
}

// The guards and twins above prove little if no tie is ever drawn.
TEST(BernoulliBitsTwin, RangesHoldTiesOfBothKinds) {
  const BernoulliStream stream = Stream(kThresholds[0]);
  std::size_t kept = 0;
  std::size_t dropped = 0;
  for (std::uint64_t index = 0; index < kMaxCount; ++index) {
    if (naive::RandomByte(stream, index) != stream.threshold >> 56) continue;
    ++(naive::IsKept(stream, index) ? kept : dropped);
  }
  EXPECT_GT(kept + dropped, 0u);
  for (std::uint64_t index = kMaxCount; index < 20000; ++index) {
    if (naive::RandomByte(stream, index) != stream.threshold >> 56) continue;
    ++(naive::IsKept(stream, index) ? kept : dropped);
  }
  EXPECT_GT(kept, 0u);
  EXPECT_GT(dropped, 0u);
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(BernoulliBitsTest);

}  // namespace
}  // namespace dropoutd::kernels
