#include "server/kernels/masked_scale.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/kernels/naive.h"
#include "tests/kernels/place.h"
#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd::kernels {
namespace {

constexpr std::size_t kMaxTail = 200;
constexpr double kScale = 1 / (1 - 0.3);

std::size_t Size(DataType dtype) { return static_cast<std::size_t>(ElementSize(dtype)); }

// One kernel call of n elements against the twin.
struct Case {
  DataType dtype;
  std::size_t n;
  std::size_t x_misalignment;
  std::size_t y_misalignment;
  Stores stores;
};

std::ostream& operator<<(std::ostream& os, const Case& c) {
  return os << naive::Name(c.dtype) << " n " << c.n << " x + " << c.x_misalignment << " y + "
            << c.y_misalignment << (c.stores == Stores::kStreaming ? " streaming" : " cached");
}

class MaskedScaleTest : public SimdTargetFixture {
 protected:
  // Inputs and answers of the longest tail; shorter ones are their prefixes.
  struct Twin {
    Bytes x;
    Bytes bits;
    Bytes y;
  };

  static Twin MakeTwin(DataType dtype, std::size_t n) {
    Twin twin{naive::RandomBytes(n * Size(dtype), 1), naive::RandomBytes((n + 7) / 8, 2), {}};
    twin.y = naive::MaskedScale(dtype, twin.x, twin.bits, kScale);
    return twin;
  }

  static Bytes Prefix(const Bytes& bytes, std::size_t size) {
    return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
  }

  void CheckApart(const Twin& twin, const Case& c) {
    const Bytes x = Prefix(twin.x, c.n * Size(c.dtype));
    // No readable byte past the mask's last, for the address sanitizer to see.
    const Bytes bits = Prefix(twin.bits, (c.n + 7) / 8);
    const std::uint8_t* from = x_.Fill(c.x_misalignment, x);
    std::uint8_t* to = y_.Fill(c.y_misalignment, Bytes(x.size(), 0x5A));
    naive::CallKernel(c.dtype, from, bits.data(), c.n, kScale, to, c.stores);
    FlushStores();
    ASSERT_TRUE(y_.Holds(Prefix(twin.y, x.size()))) << c;
    ASSERT_TRUE(y_.GuardsAreWhole()) << c;
    ASSERT_TRUE(x_.Holds(x) && x_.GuardsAreWhole()) << c;
  }

  void CheckInPlace(const Twin& twin, const Case& c) {
    const Bytes x = Prefix(twin.x, c.n * Size(c.dtype));
    const Bytes bits = Prefix(twin.bits, (c.n + 7) / 8);
    std::uint8_t* place = y_.Fill(c.y_misalignment, x);
    naive::CallKernel(c.dtype, place, bits.data(), c.n, kScale, place, c.stores);
    FlushStores();
    ASSERT_TRUE(y_.Holds(Prefix(twin.y, x.size()))) << "in place " << c;
    ASSERT_TRUE(y_.GuardsAreWhole()) << "in place " << c;
  }

  Place x_{kMaxTail * 8};
  Place y_{kMaxTail * 8};
};

TEST_P(MaskedScaleTest, AgreesWithTwinAtEveryTailAndMisalignment) {
  for (const DataType dtype : naive::kDataTypes) {
    const Twin twin = MakeTwin(dtype, kMaxTail);
    for (const Stores stores : {Stores::kCached, Stores::kStreaming}) {
      for (std::size_t n = 0; n <= kMaxTail; n += naive::kSanitized ? 3 : 1) {
        for (std::size_t m = 0; m < kLine; ++m) {
          CheckApart(twin, {dtype, n, m, 0, stores});
          CheckApart(twin, {dtype, n, 0, m, stores});
          CheckApart(twin, {dtype, n, m, m, stores});
          CheckInPlace(twin, {dtype, n, m, m, stores});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(MaskedScaleTest, AgreesWithTwinAtEveryPairOfMisalignments) {
  for (const DataType dtype : naive::kDataTypes) {
    const Twin twin = MakeTwin(dtype, kMaxTail);
    for (const std::size_t n : {1, 63, 64, 67, 128, 199}) {
      for (std::size_t pair = 0; pair < kLine * kLine; pair += naive::kSanitized ? 37 : 1) {
        for (const Stores stores : {Stores::kCached, Stores::kStreaming}) {
          CheckApart(twin, {dtype, n, pair / kLine, pair % kLine, stores});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(MaskedScaleTest, AgreesWithTwinOnLongTensors) {
  constexpr std::size_t kLong = 10007;
  Place x(kLong * 8);
  Place y(kLong * 8);
  for (const DataType dtype : naive::kDataTypes) {
    const Twin twin = MakeTwin(dtype, kLong);
    for (const Stores stores : {Stores::kCached, Stores::kStreaming}) {
      const std::uint8_t* from = x.Fill(3, twin.x);
      std::uint8_t* to = y.Fill(0, Bytes(twin.x.size()));
      naive::CallKernel(dtype, from, twin.bits.data(), kLong, kScale, to, stores);
      FlushStores();
      EXPECT_TRUE(y.Holds(twin.y)) << naive::Name(dtype);
      EXPECT_TRUE(y.GuardsAreWhole()) << naive::Name(dtype);
    }
  }
}

// 1 copies, 2 and 10 overflow, 0.5 and 1e-4 underflow, the others round.
constexpr double kScales[] = {1, 2, 1 / 0.7, 10, 0.5, 1e-4};

TEST_P(MaskedScaleTest, EverySixteenBitValueIsRoundedOnce) {
  constexpr std::size_t kValues = 65536;
  for (const DataType dtype : {DataType::kFloat16, DataType::kBFloat16}) {
    Bytes x(kValues * 2);
    for (std::size_t i = 0; i < kValues; ++i) naive::StoreElement(dtype, i, x.data(), i);
    for (const double scale : kScales) {
      for (const int pattern : {0xFF, 0x5A, 0x00}) {
        const Bytes bits(kValues / 8, static_cast<std::uint8_t>(pattern));
        Bytes y(x.size(), 0x77);
        naive::CallKernel(dtype, x.data(), bits.data(), kValues, scale, y.data(), Stores::kCached);
        const Bytes expected = naive::MaskedScale(dtype, x, bits, scale);
        for (std::size_t i = 0; i < kValues; ++i) {
          ASSERT_EQ(naive::LoadElement(dtype, y.data(), i),
                    naive::LoadElement(dtype, expected.data(), i))
              << naive::Name(dtype) << " bits " << i << " scale " << scale;
        }
      }
    }
  }
}

// Values at the edges of float32 and float64, both signs.
Bytes EdgeValues(DataType dtype) {
  const bool is_double = dtype == DataType::kFloat64;
  std::vector<std::uint64_t> values;
  // Quiet and signalling NaNs with several payloads, infinity, the extremes, 1, 1 + ulp.
  if (is_double) {
    values = {0x7FF8000000000000, 0x7FF0000000000001, 0x7FF7FFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF,
              0x7FF8123456789ABC, 0x7FF0123456789ABC, 0x7FF0000000000000, 0x7FEFFFFFFFFFFFFF,
              0x0000000000000000, 0x0000000000000001, 0x0000000000000003, 0x000FFFFFFFFFFFFF,
              0x0010000000000000, 0x0010000000000001, 0x3FF0000000000000, 0x3FF0000000000001};
  } else {
    values = {0x7FC00000, 0x7F800001, 0x7FBFFFFF, 0x7FFFFFFF, 0x7FC12345, 0x7F812345,
              0x7F800000, 0x7F7FFFFF, 0x00000000, 0x00000001, 0x00000003, 0x007FFFFF,
              0x00800000, 0x00800001, 0x3F800000, 0x3F800001};
  }
  Bytes bytes(2 * values.size() * Size(dtype));
  const std::uint64_t sign = is_double ? 0x8000000000000000 : 0x80000000;
  for (std::size_t i = 0; i < values.size(); ++i) {
    naive::StoreElement(dtype, values[i], bytes.data(), 2 * i);
    naive::StoreElement(dtype, values[i] | sign, bytes.data(), 2 * i + 1);
  }
  return bytes;
}

TEST_P(MaskedScaleTest, EdgeValuesOfFloat32AndFloat64) {
  for (const DataType dtype : {DataType::kFloat32, DataType::kFloat64}) {
    // Twice 32 values, so that the vector loop sees them, and a tail of the same.
    Bytes x;
    for (int i = 0; i < 3; ++i) {
      const Bytes values = EdgeValues(dtype);
      x.insert(x.end(), values.begin(), values.end());
    }
    const std::size_t n = x.size() / Size(dtype);
    for (const double scale : kScales) {
      for (const int pattern : {0xFF, 0x69, 0x96, 0x00}) {
        const Bytes bits((n + 7) / 8, static_cast<std::uint8_t>(pattern));
        Bytes y(x.size(), 0x77);
        naive::CallKernel(dtype, x.data(), bits.data(), n, scale, y.data(), Stores::kCached);
        EXPECT_EQ(y, naive::MaskedScale(dtype, x, bits, scale))
            << naive::Name(dtype) << " scale " << scale << " mask " << pattern;
      }
    }
  }
}

TEST_P(MaskedScaleTest, DroppedIsPositiveZeroWhateverTheInput) {
  for (const DataType dtype : naive::kDataTypes) {
    for (const int byte : {0xFF, 0x80, 0x7F, 0xFC, 0x01}) {  // NaNs, -0 and others.
      const Bytes x(kMaxTail * Size(dtype), static_cast<std::uint8_t>(byte));
      const Bytes bits(kMaxTail / 8);
      Bytes y(x.size(), 0x77);
      naive::CallKernel(dtype, x.data(), bits.data(), kMaxTail, kScale, y.data(), Stores::kCached);
      EXPECT_EQ(y, Bytes(x.size())) << naive::Name(dtype);
    }
  }
}

TEST_P(MaskedScaleTest, BitsPastTheLastElementAreIgnored) {
  for (const DataType dtype : naive::kDataTypes) {
    const Twin twin = MakeTwin(dtype, 67);
    Bytes bits = twin.bits;
    bits.back() = static_cast<std::uint8_t>(bits.back() ^ 0xF8);
    std::uint8_t* y = y_.Fill(0, Bytes(twin.x.size()));
    naive::CallKernel(dtype, twin.x.data(), bits.data(), 67, kScale, y, Stores::kCached);
    EXPECT_TRUE(y_.Holds(twin.y) && y_.GuardsAreWhole()) << naive::Name(dtype);
  }
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(MaskedScaleTest);

// The twins are worth something only if they are right themselves: values that anybody can
// check by hand.
TEST(MaskedScaleTwin, Float16) {
  EXPECT_EQ(naive::FromFloat16(0x3C00), 1.0);
  EXPECT_EQ(naive::FromFloat16(0xC000), -2.0);
  EXPECT_EQ(naive::FromFloat16(0x7BFF), 65504.0);
  EXPECT_EQ(naive::FromFloat16(0x0001), 0x1p-24);
  EXPECT_EQ(naive::FromFloat16(0x0400), 0x1p-14);
  EXPECT_EQ(naive::FromFloat16(0xFC00), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(naive::ToFloat16(1.0f + 0x1p-11f), 0x3C00);  // A tie, to even.
  EXPECT_EQ(naive::ToFloat16(1.0f + 0x3p-11f), 0x3C02);
  EXPECT_EQ(naive::ToFloat16(1.0f + 0x1.002p-11f), 0x3C01);
  EXPECT_EQ(naive::ToFloat16(65519.996f), 0x7BFF);
  EXPECT_EQ(naive::ToFloat16(65520.0f), 0x7C00);
  EXPECT_EQ(naive::ToFloat16(-0x1p-25f), 0x8000);
  EXPECT_EQ(naive::ToFloat16(0x1.8p-24f), 0x0002);
  EXPECT_EQ(naive::ToFloat16(0x1.FFFp-15f), 0x0400);
}

TEST(MaskedScaleTwin, BFloat16) {
  EXPECT_EQ(naive::FromBFloat16(0x3F80), 1.0);
  EXPECT_EQ(naive::FromBFloat16(0x0001), 0x1p-133);
  EXPECT_EQ(naive::ToBFloat16(1.0f + 0x1p-8f), 0x3F80);  // A tie, to even.
  EXPECT_EQ(naive::ToBFloat16(1.0f + 0x3p-8f), 0x3F82);
  EXPECT_EQ(naive::ToBFloat16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_EQ(naive::ToBFloat16(-0x1p-134f), 0x8000);
}

TEST(MaskedScaleTwin, SixteenBitFormatsGoThereAndBack) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const double half = naive::FromFloat16(bits);
    if (!std::isnan(half)) {
      ASSERT_EQ(naive::ToFloat16(static_cast<float>(half)), bits);
    }
    const double bfloat = naive::FromBFloat16(bits);
    if (!std::isnan(bfloat)) {
      ASSERT_EQ(naive::ToBFloat16(static_cast<float>(bfloat)), bits);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(static_cast<float>(bfloat)), i << 16);
    }
  }
}

}  // namespace
}  // namespace dropoutd::kernels
