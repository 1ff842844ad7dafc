#include "server/dropout/layer_validation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "server/base/error.h"
#include "tests/dropout/naive_forward.h"

namespace dropoutd {
namespace {

// The message of the INVALID_LAYER that the config gets; empty if it is valid.
std::string Complaint(const LayerConfig& config) {
  const absl::Status status = Validate(config);
  if (status.ok()) return "";
  EXPECT_EQ(ReasonOf(status), Reason::kInvalidLayer) << status;
  return std::string(status.message());
}

LayerConfig WithId(const std::string& layer_id) {
  LayerConfig config = MakeConfig(0.5);
  config.layer_id = layer_id;
  return config;
}

void ExpectComplaint(const LayerConfig& config, const std::string& field,
                     const std::string& value) {
  const std::string complaint = Complaint(config);
  EXPECT_EQ(complaint.substr(0, field.size() + 2), field + ": ") << complaint;
  EXPECT_NE(complaint.find(value), std::string::npos) << complaint;
}

TEST(Validate, ProbabilitiesFrom0UpTo1) {
  for (const double p : {0.0, -0.0, std::numeric_limits<double>::denorm_min(), 1e-300, 0.5,
                         std::nextafter(1.0, 0.0)}) {
    EXPECT_EQ(Complaint(MakeConfig(p)), "") << p;
  }
}

TEST(Validate, OtherProbabilitiesAreRefused) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ExpectComplaint(MakeConfig(1.0), "p", "1, must be in [0, 1)");
  ExpectComplaint(MakeConfig(1.5), "p", "1.5");
  ExpectComplaint(MakeConfig(-std::numeric_limits<double>::denorm_min()), "p", "-4.9");
  ExpectComplaint(MakeConfig(std::nan("")), "p", "nan");
  ExpectComplaint(MakeConfig(-std::nan("")), "p", "nan");
  ExpectComplaint(MakeConfig(kInfinity), "p", "inf");
  ExpectComplaint(MakeConfig(-kInfinity), "p", "-inf");
}

TEST(Validate, LayerIds) {
  EXPECT_EQ(Complaint(WithId("a")), "");
  EXPECT_EQ(Complaint(WithId("Größe/層-1 .*\"")), "");
  EXPECT_EQ(Complaint(WithId(std::string(128, 'x'))), "");
  ExpectComplaint(WithId(""), "layer_id", "0 bytes");
  ExpectComplaint(WithId(std::string(129, 'x')), "layer_id", "129 bytes");
  for (const char c : {'\0', '\n', '\x1f', '\x7f'}) {
    ExpectComplaint(WithId(std::string("a") + c + "b"), "layer_id", "control character");
  }
}

TEST(Validate, BroadcastAxes) {
  EXPECT_EQ(Complaint(MakeConfig(0.5, {0, 1, 2, 3, 4, 5, 6, 7})), "");
  EXPECT_EQ(Complaint(MakeConfig(0.5, {-8, 7})), "");
  constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
  for (const std::int32_t axis : {8, -9, kMin, kMax}) {
    ExpectComplaint(MakeConfig(0.5, {0, axis}), "dropout.broadcast_axes", std::to_string(axis));
  }
  ExpectComplaint(MakeConfig(0.5, {1, 2, 1}), "dropout.broadcast_axes", "1 is there twice");
  ExpectComplaint(MakeConfig(0.5, {-1, -1}), "dropout.broadcast_axes", "-1 is there twice");
  // No complaint may grow with the request.
  EXPECT_LT(Complaint(MakeConfig(0.5, std::vector<std::int32_t>(10000, 3))).size(), 200u);
}

TEST(Validate, EveryScalingAndGenerator) {
  for (const Scaling scaling : {Scaling::kInverted, Scaling::kNone, Scaling::kEval}) {
    for (const Generator generator : {Generator::kPhilox, Generator::kNumpyLegacy}) {
      LayerConfig config = MakeConfig(0.5, {}, scaling);
      config.generator = generator;
      EXPECT_EQ(Complaint(config), "");
    }
  }
  EXPECT_FALSE(IsSequential(Generator::kPhilox));
  EXPECT_TRUE(IsSequential(Generator::kNumpyLegacy));
}

TEST(LayerConfig, EqualityLooksAtEveryField) {
  const LayerConfig config = MakeConfig(0.5, {1});
  EXPECT_EQ(config, MakeConfig(0.5, {1}));
  EXPECT_NE(config, MakeConfig(0.25, {1}));
  EXPECT_NE(config, MakeConfig(0.5, {2}));
  EXPECT_NE(config, MakeConfig(0.5, {1}, Scaling::kNone));
  LayerConfig other = config;
  other.layer_id = "other";
  EXPECT_NE(config, other);
  other = config;
  other.mode = Mode::kEval;
  EXPECT_NE(config, other);
  other = config;
  other.generator = Generator::kNumpyLegacy;
  EXPECT_NE(config, other);
}

}  // namespace
}  // namespace dropoutd
