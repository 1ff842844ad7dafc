#include "server/dropout/pass.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "server/dropout/sequential_noise.h"
#include "tests/dropout/naive_forward.h"
#include "tests/kernels/naive.h"
#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd {
namespace {

constexpr Scaling kScalings[] = {Scaling::kInverted, Scaling::kNone, Scaling::kEval};

struct Structure {
  Sizes shape;
  std::vector<std::int32_t> axes;
};

// Of one chunk and of more, elementwise and shared, empty and scalar.
const std::vector<Structure>& Structures() {
  static const std::vector<Structure> structures = {
      {{}, {}},
      {{1}, {0}},
      {{0}, {}},
      {{3, 0, 4}, {1}},
      {{4, 5}, {}},
      {{4096}, {}},
      {{4097}, {}},
      {{3, 4099}, {}},
      {{3, 4099}, {0}},
      {{3, 4099}, {1}},
      {{7, 33, 19}, {-1}},
      {{7, 33, 19}, {0, 2}},
      {{7, 33, 19}, {1}},
      {{2, 3, 2, 3, 2, 3, 2, 3}, {1, 3, -2}},
  };
  return structures;
}

class PassTest : public SimdTargetFixture {};

TEST_P(PassTest, AgreesWithTwin) {
  for (const Structure& s : Structures()) {
    for (const Scaling scaling : kScalings) {
      for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
        for (const double p : {0.0, 1e-300, 0.3, 0.999}) {
          const Call call{MakeConfig(p, s.axes, scaling), mode, {1, 7, 5}, s.shape};
          for (const DataType dtype : naive::kDataTypes) {
            const Bytes x = naive::RandomBytes(ByteSize(call, dtype), 1);
            const Bytes expected = naive::Forward(call, dtype, x);
            ASSERT_EQ(ServerApply(call, dtype, x), expected) << call << naive::Name(dtype);
            if (MakePlanOf(call).action != Action::kMask) continue;
            ASSERT_EQ(ServerDrawAndApply(call, dtype, x), expected) << call << naive::Name(dtype);
            ASSERT_EQ(ServerBits(call), naive::Bits(call)) << call;
          }
        }
      }
    }
  }
}

TEST_P(PassTest, DrawAndApplyReturnsTheBits) {
  for (const Structure& s : Structures()) {
    const Call call{MakeConfig(0.3, s.axes), Mode::kTrain, {1, 7, 5}, s.shape};
    Bytes x(ByteSize(call, DataType::kFloat32));
    const SharedBits bits = DrawAndApply(MakePlanOf(call), DataType::kFloat32, x.data(), x.data());
    const PackedBits drawn = DrawBits(MakePlanOf(call));
    EXPECT_EQ(bits->bytes(), drawn.bytes()) << call;
    EXPECT_EQ(bits->count(), drawn.count()) << call;
  }
}

TEST_P(PassTest, InPlaceGivesTheSame) {
  for (const Structure& s : Structures()) {
    for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
      const Call call{MakeConfig(0.3, s.axes, Scaling::kEval), mode, {1, 7, 5}, s.shape};
      const Plan plan = MakePlanOf(call);
      for (const DataType dtype : naive::kDataTypes) {
        const Bytes x = naive::RandomBytes(ByteSize(call, dtype), 1);
        const Bytes expected = ServerApply(call, dtype, x);
        Bytes place = x;
        if (plan.action == Action::kMask) {
          DrawAndApply(plan, dtype, place.data(), place.data());
          EXPECT_EQ(place, expected) << call << naive::Name(dtype);
          place = x;
          Apply(plan, ShareBits(DrawBits(plan)), dtype, place.data(), place.data());
        } else {
          Apply(plan, nullptr, dtype, place.data(), place.data());
        }
        EXPECT_EQ(place, expected) << call << naive::Name(dtype);
      }
    }
  }
}

TEST_P(PassTest, AnyAlignment) {
  const Call call{MakeConfig(0.3), Mode::kTrain, {1, 7, 5}, {3, 1401}};
  const Plan plan = MakePlanOf(call);
  for (const DataType dtype : naive::kDataTypes) {
    const Bytes x = naive::RandomBytes(ByteSize(call, dtype), 1);
    const Bytes expected = naive::Forward(call, dtype, x);
    for (std::size_t misalignment = 0; misalignment < 16; ++misalignment) {
      Bytes from(misalignment, 0);
      from.insert(from.end(), x.begin(), x.end());
      Bytes to(x.size() + 15 - misalignment);
      DrawAndApply(plan, dtype, from.data() + misalignment, to.data() + 15 - misalignment);
      EXPECT_EQ(Bytes(to.begin() + 15 - static_cast<std::ptrdiff_t>(misalignment), to.end()),
                expected);
    }
  }
}

// Outputs of 16 MiB and more pass the caches by: against the same in slices that do not.
TEST_P(PassTest, LargeOutputsAreTheirSlicesJoined) {
  constexpr std::int64_t kRow = 4096 + 24;
  for (const DataType dtype : naive::kDataTypes) {
    const std::int64_t row_bytes = kRow * ElementSize(dtype);
    const std::int64_t rows = (std::int64_t{16} << 20) / row_bytes + 3;
    for (const std::vector<std::int32_t>& axes : {std::vector<std::int32_t>{}, {1}}) {
      Call call{MakeConfig(0.3, axes), Mode::kTrain, {1, 7, 5}, {rows, kRow}};
      const Bytes x = naive::RandomBytes(4096, 1);
      Bytes input(ByteSize(call, dtype));
      for (std::size_t i = 0; i < input.size(); ++i) input[i] = x[i % 4093];
      const Bytes whole = ServerDrawAndApply(call, dtype, input);
      ASSERT_EQ(ServerApply(call, dtype, input), whole);
      constexpr std::int64_t kSlice = 100;
      for (std::int64_t row = 0; row < rows; row += kSlice) {
        const std::int64_t n = std::min(kSlice, rows - row);
        call.shape[0] = n;
        call.at.sample_offset = 5 + row;
        const auto begin = row * row_bytes;
        const auto end = (row + n) * row_bytes;
        const Bytes slice(input.begin() + begin, input.begin() + end);
        ASSERT_EQ(ServerDrawAndApply(call, dtype, slice),
                  Bytes(whole.begin() + begin, whole.begin() + end))
            << call << naive::Name(dtype);
      }
    }
  }
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(PassTest);

// Signalling NaNs and all else: a copy is of bytes, not of values.
TEST(Pass, PassingThroughLeavesEveryByte) {
  const struct {
    double p;
    Mode mode;
    Scaling scaling;
  } cases[] = {{0.0, Mode::kTrain, Scaling::kInverted}, {0.0, Mode::kTrain, Scaling::kEval},
               {0.3, Mode::kEval, Scaling::kInverted},  {0.3, Mode::kEval, Scaling::kNone},
               {0.0, Mode::kEval, Scaling::kEval},      {-0.0, Mode::kTrain, Scaling::kNone}};
  for (const auto& c : cases) {
    const Call call{MakeConfig(c.p, {}, c.scaling), c.mode, {1, 7, 5}, {10000}};
    ASSERT_EQ(MakePlanOf(call).action, Action::kCopy);
    for (const DataType dtype : naive::kDataTypes) {
      const Bytes x = naive::RandomBytes(ByteSize(call, dtype), 1);
      EXPECT_EQ(ServerApply(call, dtype, x), x) << call << naive::Name(dtype);
    }
    const PackedBits bits = KeepAllBits(MakePlanOf(call));
    EXPECT_EQ(bits.bytes(), PackedBits::AllKept(10000).bytes());
  }
}

TEST(Pass, EmptyTensorsNeedNoMemory) {
  for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
    const Call call{MakeConfig(0.3, {}, Scaling::kEval), mode, {}, {3, 0, 2}};
    const Plan plan = MakePlanOf(call);
    Apply(plan, ShareBits(PackedBits(0)), DataType::kFloat32, nullptr, nullptr);
    DrawAndApply(plan, DataType::kFloat32, nullptr, nullptr);
    EXPECT_EQ(DrawBits(plan).count(), 0u);
  }
}

// np.random.seed(1); mask = np.random.rand(4, 5) > 0.5; y = x * mask / (1 - 0.5)
TEST(Pass, NumpyLegacyExample) {
  LayerConfig config = MakeConfig(0.5);
  config.generator = Generator::kNumpyLegacy;
  const Plan plan = MakePlanOf({config, Mode::kTrain, {1, 0, 0}, {4, 5}});
  PackedBits bits(20);
  SequentialNoise(1).Draw(0.5, bits);
  std::vector<double> x(20);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i + 1);
  std::vector<double> y(20);
  Apply(plan, ShareBits(std::move(bits)), DataType::kFloat64, x.data(), y.data());
  const std::vector<double> expected = {0,  4,  0,  0,  0,   //
                                        0,  0,  0,  0,  20,  //
                                        0,  24, 0,  28, 0,   //
                                        32, 0,  36, 0,  0};
  EXPECT_EQ(y, expected);
}

TEST(SequentialNoise, ACopyGoesOnFromTheSamePlace) {
  SequentialNoise noise(7);
  PackedBits skipped(13);
  noise.Draw(0.5, skipped);
  SequentialNoise copy = noise;
  PackedBits bits(1000);
  noise.Draw(0.5, bits);
  PackedBits copied(1000);
  copy.Draw(0.5, copied);
  EXPECT_EQ(copied.bytes(), bits.bytes());
  noise.Draw(0.5, bits);
  EXPECT_NE(copied.bytes(), bits.bytes());
}

}  // namespace
}  // namespace dropoutd
