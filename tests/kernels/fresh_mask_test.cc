#include "server/kernels/fresh_mask.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "server/kernels/masked_scale.h"
#include "tests/kernels/naive.h"
#include "tests/kernels/place.h"
#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd::kernels {
namespace {

constexpr double kScale = 1 / (1 - 0.3);
constexpr Affine kAffine = {1.25, 0.5, -2.0};

// The kernels of one element type: fresh, and with bits that are there.
struct Kernels {
  DataType dtype;
  decltype(&FreshMaskedScaleF32) fresh_scale;
  decltype(&MaskedScaleF32) scale;
  decltype(&FreshAffineMaskF32) fresh_affine;
  decltype(&AffineMaskF32) affine;
};

constexpr Kernels kKernels[] = {
    {DataType::kFloat32, FreshMaskedScaleF32, MaskedScaleF32, FreshAffineMaskF32, AffineMaskF32},
    {DataType::kFloat64, FreshMaskedScaleF64, MaskedScaleF64, FreshAffineMaskF64, AffineMaskF64},
    {DataType::kFloat16, FreshMaskedScaleF16, MaskedScaleF16, FreshAffineMaskF16, AffineMaskF16},
    {DataType::kBFloat16, FreshMaskedScaleBF16, MaskedScaleBF16, FreshAffineMaskBF16,
     AffineMaskBF16},
};

class FreshMaskTest : public SimdTargetFixture {
 protected:
  // Both operations on n elements from `first` on, against the kernels that they are made of.
  void Check(const Kernels& kernels, const BernoulliStream& stream, std::uint64_t first,
             std::size_t n, Stores stores) {
    const std::size_t size = n * static_cast<std::size_t>(ElementSize(kernels.dtype));
    const Bytes x = naive::RandomBytes(size, 1);
    Bytes bits((n + 7) / 8);
    BernoulliBits(stream, first, n, bits.data());
    Bytes scaled(size), affine(size);
    kernels.scale(x.data(), bits.data(), n, kScale, scaled.data(), Stores::kCached);
    kernels.affine(x.data(), bits.data(), n, kAffine, affine.data(), Stores::kCached);

    Place kept(bits.size());
    Place y(size);
    for (const bool keeps : {true, false}) {
      std::uint8_t* const to = keeps ? kept.Fill(3, Bytes(bits.size(), 0x5A)) : nullptr;
      std::uint8_t* place = y.Fill(0, Bytes(size, 0x5A));
      kernels.fresh_scale({stream, first, to}, x.data(), n, kScale, place, stores);
      FlushStores();
      ASSERT_TRUE(y.Holds(scaled) && y.GuardsAreWhole()) << first << " " << n;
      if (!keeps) continue;
      ASSERT_TRUE(kept.Holds(bits) && kept.GuardsAreWhole()) << first << " " << n;
    }
    // In place.
    std::uint8_t* const place = y.Fill(1, x);
    kernels.fresh_affine({stream, first, nullptr}, place, n, kAffine, place, stores);
    FlushStores();
    ASSERT_TRUE(y.Holds(affine) && y.GuardsAreWhole()) << first << " " << n;
  }
};

TEST_P(FreshMaskTest, IsDrawingAndMasking) {
  constexpr std::size_t kCounts[] = {0,    1,    63,   64,   65,   1000,  4095,  4096,
                                     4097, 4160, 8191, 8192, 8193, 12289, 40000, 300000};
  // Without ties, with a usual share of them, and with nothing else.
  constexpr std::uint64_t kThresholds[] = {0x8000000000000000, 0x4CCCCCCCCCCCCC00, 1};
  for (const Kernels& kernels : kKernels) {
    for (const std::uint64_t threshold : kThresholds) {
      const BernoulliStream stream{{{0x08195365, 0x6D2800EE}, 0x97C10999}, threshold};
      for (const std::size_t n : kCounts) {
        if (naive::kSanitized && n > 20000) continue;
        for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{4099},
                                          (std::uint64_t{1} << 36) - 3000}) {
          Check(kernels, stream, first, n, n % 2 == 0 ? Stores::kStreaming : Stores::kCached);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(FreshMaskTest);

}  // namespace
}  // namespace dropoutd::kernels
