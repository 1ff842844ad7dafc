#include "server/dropout/noise_layout.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "server/base/error.h"
#include "tests/dropout/naive_forward.h"
#include "tests/random/mask_vectors.h"

namespace dropoutd {
namespace {

using Axes = std::vector<std::int32_t>;
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kLimit = std::uint64_t{1} << 63;

absl::StatusOr<NoiseLayout> Layout(const Sizes& shape, const Axes& axes = {},
                                   std::int64_t sample_offset = 0) {
  return LayoutOf(MakeShape(shape), axes, sample_offset);
}

Reason ReasonFor(const Sizes& shape, const Axes& axes, std::int64_t sample_offset = 0) {
  const auto layout = Layout(shape, axes, sample_offset);
  EXPECT_FALSE(layout.ok());
  return ReasonOf(layout.status()).value();
}

TEST(MakeNoiseLayout, ElementwiseNoiseHasTheTensorsShape) {
  const auto layout = Layout({4, 3, 5}, {}, 7);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->tensor, MakeShape({4, 3, 5}));
  EXPECT_EQ(layout->noise, layout->tensor);
  EXPECT_TRUE(layout->IsElementwise());
  EXPECT_EQ(layout->first_index, 7u * 15);
}

TEST(MakeNoiseLayout, SharedAxesHaveSize1) {
  EXPECT_EQ(Layout({4, 3, 5}, {1})->noise, MakeShape({4, 1, 5}));
  EXPECT_EQ(Layout({4, 3, 5}, {-1})->noise, MakeShape({4, 3, 1}));
  EXPECT_EQ(Layout({4, 3, 5}, {-3, 2})->noise, MakeShape({1, 3, 1}));
  EXPECT_EQ(Layout({4, 0, 5}, {1})->noise, MakeShape({4, 1, 5}));
  EXPECT_FALSE(Layout({4, 3, 5}, {1})->IsElementwise());
  EXPECT_TRUE(Layout({4, 1, 5}, {1})->IsElementwise());
}

TEST(MakeNoiseLayout, FirstIndexCountsTheNoisesElements) {
  EXPECT_EQ(Layout({4, 3, 5}, {1}, 7)->first_index, 7u * 5);
  EXPECT_EQ(Layout({4, 3, 5}, {1, 2}, 7)->first_index, 7u);
  EXPECT_EQ(Layout({4, 3, 5}, {0}, 7)->first_index, 0u);
  EXPECT_EQ(Layout({}, {}, 7)->first_index, 7u);
  EXPECT_EQ(Layout({4, 0}, {}, 7)->first_index, 0u);
}

TEST(MakeNoiseLayout, AxesThatTheTensorDoesNotHave) {
  for (const std::int32_t axis : {3, -4, 7, -8}) {
    EXPECT_EQ(ReasonFor({4, 3, 5}, {axis}), Reason::kInvalidLayer) << axis;
    EXPECT_EQ(ReasonFor({4, 3, 5}, {0, axis}), Reason::kInvalidLayer) << axis;
    const std::string message(Layout({4, 3, 5}, {axis}).status().message());
    EXPECT_NE(message.find(std::to_string(axis)), std::string::npos) << message;
    EXPECT_NE(message.find("[-3, 2]"), std::string::npos) << message;
  }
  for (const std::int32_t axis : {0, -1}) {
    EXPECT_EQ(ReasonFor({}, {axis}), Reason::kInvalidLayer);
  }
}

TEST(MakeNoiseLayout, OneAxisNamedTwoWays) {
  EXPECT_EQ(ReasonFor({4, 3}, {0, -2}), Reason::kInvalidLayer);
  EXPECT_EQ(ReasonFor({4, 3}, {-2, 0}), Reason::kInvalidLayer);
  EXPECT_EQ(ReasonFor({4}, {0, -1}), Reason::kInvalidLayer);
  EXPECT_EQ(ReasonFor({4, 3, 5}, {0, 2, -1}), Reason::kInvalidLayer);
  const std::string message(Layout({4, 3}, {0, -2}).status().message());
  EXPECT_NE(message.find("-2 is an axis named before"), std::string::npos) << message;
  // The same numbers are two axes of another rank.
  EXPECT_EQ(Layout({4, 3, 5}, {0, -2})->noise, MakeShape({1, 1, 5}));
}

TEST(MakeNoiseLayout, SampleOffsetsBelow0) {
  for (const std::int64_t offset : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
    EXPECT_EQ(ReasonFor({4}, {}, offset), Reason::kInvalidTensor);
    EXPECT_EQ(ReasonFor({0}, {}, offset), Reason::kInvalidTensor);
    EXPECT_EQ(ReasonFor({4, 2}, {0}, offset), Reason::kInvalidTensor);
  }
}

TEST(MakeNoiseLayout, LastIndexIs2To63Minus1) {
  EXPECT_EQ(Layout({}, {}, kMax)->first_index, kLimit - 1);
  EXPECT_EQ(Layout({1}, {}, kMax)->first_index, kLimit - 1);
  EXPECT_EQ(Layout({3}, {}, kMax - 2)->first_index, kLimit - 3);
  EXPECT_EQ(ReasonFor({3}, {}, kMax - 1), Reason::kInvalidTensor);
  EXPECT_EQ(ReasonFor({2}, {}, kMax), Reason::kInvalidTensor);
  EXPECT_EQ(Layout({1, 4}, {}, kMax / 4)->first_index, kLimit - 4);
  EXPECT_EQ(ReasonFor({1, 4}, {}, kMax / 4 + 1), Reason::kInvalidTensor);
  // A product of 2^64, and a sum of 2^64, that a 64-bit integer would take for 0.
  EXPECT_EQ(ReasonFor({1, std::int64_t{1} << 32}, {}, (std::int64_t{1} << 32) - 1),
            Reason::kInvalidTensor);
  EXPECT_EQ(ReasonFor({kMax}, {}, kMax), Reason::kInvalidTensor);
  EXPECT_EQ(ReasonFor({1, kMax}, {}, kMax), Reason::kInvalidTensor);
}

TEST(MakeNoiseLayout, TensorsWithoutDrawsMayStartAnywhere) {
  EXPECT_TRUE(Layout({0, 4}, {}, kMax).ok());
  EXPECT_TRUE(Layout({4, 0}, {}, kMax).ok());
  // The mask of a shared axis 0 has no offset.
  EXPECT_EQ(Layout({4, 9}, {0}, kMax)->first_index, 0u);
}

TEST(MakeNoiseLayout, KnownRefusals) {
  for (const auto& vector : MaskVectors("refused")) {
    EXPECT_EQ(ReasonFor(vector.at("shape").get<Sizes>(), vector.at("broadcast_axes").get<Axes>(),
                        static_cast<std::int64_t>(ToUint64(vector.at("sample_offset")))),
              Reason::kInvalidTensor)
        << vector;
  }
}

}  // namespace
}  // namespace dropoutd
