// What the store keeps: the same comes back, and damaged bytes are never taken for good.
#include "server/session/session_codec.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "server/base/error.h"
#include "server/dropout/variant.h"
#include "server/session/layer_codec.h"

namespace dropoutd {
namespace {

std::vector<LayerConfig> EveryVariant() {
  std::vector<LayerConfig> layers(11);
  layers[0].options = DropoutOptions{{0, -1}};
  layers[1].options = GaussianOptions{{1}};
  layers[2].options = AlphaOptions{};
  layers[3].options = FeatureAlphaOptions{-2};
  layers[4].options = SpatialOptions{2};
  layers[5].options = DropBlockOptions{
      {3, 5}, 1, DropBlockOptions::Gamma::kPaper, DropBlockOptions::Normalization::kBatch, true};
  layers[6].options = ConcreteOptions{0.2, 1e-6, 1e-5, true};
  layers[7].options = DropConnectOptions{30, 20, false, DropConnectOptions::Scope::kBatch,
                                         DropConnectOptions::Target::kLinear};
  layers[8].options = VariationalOptions{-2};
  layers[9].options = RecurrentOptions{RecurrentOptions::Scope::kStep};
  layers[10].options = StochasticDepthOptions{StochasticDepthOptions::DepthMode::kBatch, 3, 12};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].layer_id = "layer " + std::to_string(i);
    layers[i].p = i == 5 ? 0.1 : 0.25;
  }
  return layers;
}

std::vector<LayerConfig> EverySchedule() {
  std::vector<LayerConfig> layers(4);
  layers[0].schedule = LinearSchedule{0.1, 0.5, 3, 900};
  layers[1].schedule = CosineSchedule{0.0, 0.5, 0, std::uint64_t{1} << 40};
  layers[2].schedule = CurriculumSchedule{0.5, 0.001};
  layers[3].schedule = PiecewiseSchedule{{10, 20}, {0.1, 0.2, 0.3}};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].layer_id = "scheduled " + std::to_string(i);
    layers[i].mode = i % 2 == 0 ? Mode::kEval : Mode::kTrain;
    layers[i].scaling = Scaling::kEval;
  }
  return layers;
}

SessionImage Example() {
  SessionImage image;
  image.seed = std::numeric_limits<std::uint64_t>::max();
  image.incarnation = 77;
  image.seed_given = true;
  image.ttl_given = 3'600'000'000'000;
  image.ttl = 3'600'000'000'000;
  image.create_time = -5;
  image.created_layers = EverySchedule();
  image.mode = Mode::kEval;
  image.next_uid = 100;
  for (const LayerConfig& config : EveryVariant()) {
    const std::uint64_t parameters = LearnsP(config) || IsLinear(config) ? 3 : 0;
    image.layers.push_back({image.layers.size() + 1, config, config, Mode::kEval, 7, parameters});
  }
  return image;
}

StepImage LargestStep() {
  StepImage image;
  image.revision = std::numeric_limits<std::uint64_t>::max();
  image.rate = DropRate(0.3);
  image.rate.logit_p = -0.8;
  // The most bytes that sizes can take: their product fits 63 bits.
  const std::int64_t sizes[] = {1 << 8, 1 << 8, 1 << 8, 1 << 8, 1 << 8, 1 << 8, 1 << 8, 1 << 6};
  image.shape = *Shape::Make(sizes);
  image.parameters_version = std::numeric_limits<std::uint64_t>::max();
  image.has_input = image.has_bits = true;
  image.nonce = std::numeric_limits<std::uint64_t>::max();
  return image;
}

Parameters SomeParameters() {
  Parameters parameters;
  parameters.Set(MakeScalar("logit_p", 0.25));
  parameters.Set({"weight", DataType::kFloat16, *Shape::Make(std::vector<std::int64_t>{2, 3}),
                  std::vector<std::byte>(12, std::byte{0x3C})});
  return parameters;
}

bool IsCorrupt(const absl::Status& status) { return ReasonOf(status) == Reason::kStoreCorrupt; }

TEST(SessionCodecTest, LayersComeBack) {
  auto layers = EveryVariant();
  const auto scheduled = EverySchedule();
  layers.insert(layers.end(), scheduled.begin(), scheduled.end());
  for (const LayerConfig& layer : layers) {
    const auto decoded = DecodeLayer(EncodeLayer(layer));
    ASSERT_TRUE(decoded.ok()) << layer.layer_id;
    EXPECT_TRUE(*decoded == layer) << layer.layer_id;
  }
}

TEST(SessionCodecTest, SessionsComeBack) {
  for (const SessionImage& image : {Example(), [] {
                                      SessionImage small;
                                      small.ttl = 1;
                                      return small;
                                    }()}) {
    const auto decoded = DecodeSession(EncodeSession(image));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(*decoded == image);
  }
}

TEST(SessionCodecTest, StepsComeBackAndAreSmall) {
  const StepImage image = LargestStep();
  const std::string bytes = EncodeStep(image);
  EXPECT_LE(bytes.size(), kMostStepBytes);
  const std::string whole = EncodeStep(image, "payload");
  const auto step = DecodeStep(whole);
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_EQ(step->payload, "payload");
  const StepImage& decoded = step->image;
  EXPECT_EQ(decoded.revision, image.revision);
  EXPECT_EQ(decoded.mode, image.mode);
  EXPECT_EQ(decoded.rate.p, image.rate.p);
  EXPECT_EQ(decoded.rate.q, image.rate.q);
  EXPECT_EQ(decoded.rate.logit_p, image.rate.logit_p);
  EXPECT_EQ(decoded.shape, image.shape);
  EXPECT_EQ(decoded.parameters_version, image.parameters_version);
  EXPECT_TRUE(decoded.has_input && decoded.has_bits);
  EXPECT_EQ(decoded.nonce, image.nonce);
}

TEST(SessionCodecTest, TensorsComeBack) {
  const Parameters parameters = SomeParameters();
  const auto decoded = DecodeParameters(EncodeParameters(parameters));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->all().size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(*decoded->all()[i] == *parameters.all()[i]);

  for (const std::size_t count : {0, 1, 7, 8, 9, 1000}) {
    PackedBits bits = PackedBits::AllKept(count);
    if (count > 3) bits.data()[0] = 0xF5;
    const auto bits_again = DecodeBits(EncodeBits(bits));
    ASSERT_TRUE(bits_again.ok());
    EXPECT_EQ((*bits_again)->count(), count);
    EXPECT_EQ((*bits_again)->bytes(), bits.bytes());
  }

  RetainedInput input;
  input.dtype = DataType::kBFloat16;
  input.data_size = 6;
  input.data = std::make_unique<std::byte[]>(6);
  input.data[5] = std::byte{9};
  const auto again = DecodeInput(EncodeInput(input));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ((*again)->dtype, input.dtype);
  EXPECT_EQ((*again)->data_size, 6u);
  EXPECT_EQ((*again)->data[5], std::byte{9});
}

// Bytes that follow are a later version's fields.
TEST(SessionCodecTest, LaterFieldsArePassedOver) {
  EXPECT_TRUE(*DecodeSession(EncodeSession(Example()) + "more") == Example());
  EXPECT_TRUE(DecodeLayer(EncodeLayer(EveryVariant()[5]) + "more").ok());
}

TEST(SessionCodecTest, ASessionOfAnOlderVersionIsNoCopy) {
  std::string older = EncodeSession(Example());
  older.pop_back();
  EXPECT_TRUE(*DecodeSession(older) == Example());
  SessionImage copy = Example();
  copy.origin = 5;
  EXPECT_TRUE(*DecodeSession(EncodeSession(copy)) == copy);
}

TEST(SessionCodecTest, OtherFormatsAreRefused) {
  std::string session = EncodeSession(Example());
  session[0] = 2;
  EXPECT_TRUE(IsCorrupt(DecodeSession(session).status()));
  std::string step = EncodeStep(LargestStep());
  step[1] = 2;  // Behind the length.
  EXPECT_TRUE(IsCorrupt(DecodeStep(step).status()));
}

// Every beginning of a record, and records with random bytes changed: an error, or values that
// obey the rules; AddressSanitizer sees the rest.
TEST(SessionCodecTest, DamagedBytesAreErrorsOrValid) {
  const std::string records[] = {
      EncodeSession(Example()), EncodeStep(LargestStep()), EncodeParameters(SomeParameters()),
      EncodeBits(PackedBits::AllKept(100)), EncodeLayer(EveryVariant()[5])};
  std::mt19937 random(1);
  const auto decode = [](std::size_t kind, const std::string& bytes) -> absl::Status {
    switch (kind) {
      case 0:
        return DecodeSession(bytes).status();
      case 1:
        return DecodeStep(bytes).status();
      case 2:
        return DecodeParameters(bytes).status();
      case 3:
        return DecodeBits(bytes).status();
      default:
        return DecodeLayer(bytes).status();
    }
  };
  for (std::size_t kind = 0; kind < std::size(records); ++kind) {
    const std::string& good = records[kind];
    // Without its last byte a session is one of an older version.
    for (std::size_t size = 0; size + (kind == 0 ? 1 : 0) < good.size(); ++size) {
      EXPECT_TRUE(IsCorrupt(decode(kind, good.substr(0, size)))) << kind << " " << size;
    }
    for (int i = 0; i < 3000; ++i) {
      std::string bad = good;
      for (unsigned changes = 1 + random() % 4; changes != 0; --changes) {
        bad[random() % bad.size()] = static_cast<char>(random());
      }
      const absl::Status status = decode(kind, bad);
      EXPECT_TRUE(status.ok() || IsCorrupt(status)) << status;
    }
  }
}

TEST(SessionCodecTest, FieldsAreInTheOrderOfTheSteps) {
  const StepKey keys[] = {{0, -5, 9},
                          {0, 0, 0},
                          {0, 0, 1},
                          {0, 7, 0},
                          {255, 0, 0},
                          {256, -1, 0},
                          {std::numeric_limits<std::uint64_t>::max(), 0, 0}};
  for (std::size_t i = 0; i + 1 < std::size(keys); ++i) {
    EXPECT_LT(StepField(3, keys[i]), StepField(3, keys[i + 1])) << i;
  }
  const FieldRange through = StepFieldsThrough(3, 255);
  EXPECT_LE(through.first, StepField(3, keys[0]));
  EXPECT_LT(StepField(3, keys[4]), through.last);
  EXPECT_GE(StepField(3, keys[5]), through.last);
  const FieldRange all = StepFieldsThrough(3, keys[6].step);
  EXPECT_LT(StepField(3, keys[6]), all.last);
  EXPECT_GE(StepField(4, keys[0]), all.last);
}

}  // namespace
}  // namespace dropoutd
