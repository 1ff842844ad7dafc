// A step's record: the same comes back, and only what its layer writes is taken.
#include "server/persistence/step_codec.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "server/dropout/sequential_noise.h"
#include "server/persistence/stored.pb.h"  // Generated.
#include "tests/persistence/examples.h"

namespace dropoutd {
namespace {

namespace stored = dropout::stored;

constexpr Token kToken = {3, 4};

LayerImage LayerOf(const VariantOptions& options, double p = 0.25) {
  LayerConfig config;
  config.layer_id = "layer";
  config.p = p;
  config.options = options;
  return MakeLayerImage(config, 9);
}

LayerImage LinearLayer() {
  return LayerOf(DropConnectOptions{4, 3, false, DropConnectOptions::Scope::kBatch,
                                    DropConnectOptions::Target::kLinear});
}

absl::StatusOr<StepRecord> Read(const std::string& bytes, const LayerImage& layer,
                                const StepKey& key = {}) {
  const auto step = DecodeStep(bytes);
  if (!step.ok()) return step.status();
  return RecordOf(*step, key, layer, kToken);
}

RetainedInput InputFor(const LayerImage& layer, std::size_t byte_size) {
  RetainedInput input;
  input.data_size = byte_size;
  input.data = std::make_unique<std::byte[]>(byte_size);
  for (std::size_t i = 0; i < byte_size; ++i) input.data[i] = static_cast<std::byte>(i * 7);
  input.parameters_id = layer.parameters_id;
  return input;
}

std::string ChangedStep(const std::string& bytes, const auto& change) {
  stored::StoredStep message;
  EXPECT_TRUE(message.ParseFromString(bytes.substr(1)));
  change(message);
  return "\2" + message.SerializeAsString();
}

TEST(StepCodecTest, RecordsComeBackAndAreSmall) {
  const LayerImage layer = LayerOf(DropoutOptions{{0, 1, 2, 3}});
  StepRecord record = MakeRecord(
      layer, MakeShape({1 << 8, 1 << 8, 1 << 8, 1 << 8, 1 << 8, 1 << 8, 1 << 8, 1 << 6}));
  record.revision = std::uint64_t{1} << 40;
  record.mode = Mode::kEval;
  const std::string bytes = EncodeRecord(record, nullptr);
  EXPECT_LE(bytes.size(), kMostStepBytes);
  EXPECT_EQ(bytes, EncodeRecord(record, nullptr, EncodeConfig(*layer.config)));
  const auto again = Read(bytes, layer);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->revision, record.revision);
  EXPECT_EQ(again->mode, record.mode);
  EXPECT_EQ(again->rate.p, record.rate.p);
  EXPECT_EQ(again->rate.q, record.rate.q);
  EXPECT_EQ(again->shape, record.shape);
  EXPECT_EQ(again->token, kToken);
  EXPECT_EQ(again->config, layer.config) << "shared";
  EXPECT_EQ(again->pinned, nullptr);
}

TEST(StepCodecTest, AStepKeepsTheConfigurationThatItHad) {
  for (const LayerConfig& config : EveryVariant()) {
    if (LearnsP(config) || IsLinear(config)) continue;  // They have inputs.
    const LayerImage before = MakeLayerImage(config, 9);
    LayerConfig changed = config;
    changed.scaling = Scaling::kNone;
    changed.options = AlphaOptions{};
    LayerImage after = before;
    after.config = std::make_shared<const LayerConfig>(changed);
    StepRecord record = MakeRecord(before, MakeShape({8, 16, 16, 16}));
    record.rate = RateAt(config, 0, {});
    const std::string bytes = EncodeRecord(record, nullptr);
    EXPECT_EQ(bytes.find(config.layer_id), bytes.npos);
    const auto again = Read(bytes, after);
    ASSERT_TRUE(again.ok()) << config.layer_id << again.status();
    EXPECT_TRUE(*again->config == config) << config.layer_id;
    EXPECT_FALSE(ConfigFieldOf(*DecodeStep(bytes), after).has_value());
  }
}

TEST(StepCodecTest, BitsComeBack) {
  LayerImage layer = LayerOf(DropoutOptions{}, 0.5);
  LayerConfig config = *layer.config;
  config.generator = Generator::kNumpyLegacy;
  layer.config = std::make_shared<const LayerConfig>(config);
  StepRecord record = MakeRecord(layer, MakeShape({3, 7}));
  PackedBits bits(21);
  SequentialNoise(5).Draw(0.5, bits);
  record.pinned = std::make_shared<const PackedBits>(std::move(bits));
  const std::string bytes = EncodeRecord(record, nullptr);
  const auto again = Read(bytes, layer);
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_NE(again->pinned, nullptr);
  EXPECT_EQ(again->pinned->count(), 21u);
  EXPECT_EQ(again->pinned->bytes(), record.pinned->bytes());
  for (const std::string& bad :
       {bytes.substr(0, bytes.size() - 1),
        ChangedStep(bytes, [](auto& step) { step.set_bit_count(20); }),
        ChangedStep(bytes, [](auto& step) { step.set_bit_count(kMaxUint64); }),
        ChangedStep(bytes, [](auto& step) { step.clear_bit_count(); }),
        ChangedStep(bytes, [](auto& step) { step.mutable_payload()->pop_back(); }),
        ChangedStep(bytes, [](auto& step) { step.mutable_payload()->push_back('x'); })}) {
    EXPECT_EQ(ReasonText(Read(bad, layer)), "STORE_CORRUPT");
  }
}

TEST(StepCodecTest, InputsComeBack) {
  LayerImage layer = LinearLayer();
  const auto parameters = std::make_shared<const Parameters>(WeightsOf(4, 3));
  const StepRecord record = MakeRecord(layer, MakeShape({2, 4}));
  const RetainedInput input = InputFor(layer, 32);
  const std::string bytes = EncodeRecord(record, &input);
  const auto step = DecodeStep(bytes);
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_EQ(step->payload.data(), bytes.data() + bytes.size() - 32) << "not copied";
  EXPECT_EQ(ParametersFieldOf(*step, layer), ParametersField(9, layer.parameters_id));
  layer.parameters = parameters;
  EXPECT_EQ(ParametersFieldOf(*step, layer), std::nullopt);
  const auto again_record = RecordOf(*step, {}, layer, kToken);
  ASSERT_TRUE(again_record.ok()) << again_record.status();
  const auto again = InputOf(*step, *again_record, parameters);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->dtype, DataType::kFloat32);
  EXPECT_EQ((*again)->data_size, 32u);
  EXPECT_EQ(std::memcmp((*again)->data.get(), input.data.get(), 32), 0);
  EXPECT_EQ((*again)->parameters, parameters);
  EXPECT_EQ((*again)->parameters_id, layer.parameters_id);

  const auto other = std::make_shared<const Parameters>(WeightsOf(4, 2));
  EXPECT_EQ(ReasonText(InputOf(*step, *again_record, other)), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(InputOf(*step, *again_record, nullptr)), "STORE_CORRUPT");
  const auto none = std::make_shared<const Parameters>();
  EXPECT_EQ(ReasonText(InputOf(*step, *again_record, none)), "STORE_CORRUPT");
  const std::string half =
      ChangedStep(bytes, [](auto& changed) { changed.set_input_type(stored::DATA_TYPE_FLOAT16); });
  EXPECT_EQ(ReasonText(InputOf(*DecodeStep(half), *again_record, parameters)), "STORE_CORRUPT");
  for (const std::string& bad :
       {ChangedStep(bytes, [](auto& changed) { changed.clear_input_type(); }),
        ChangedStep(bytes, [](auto& changed) { changed.clear_parameters_id(); }),
        ChangedStep(bytes, [](auto& changed) { changed.set_bit_count(3); })}) {
    EXPECT_EQ(ReasonText(Read(bad, layer)), "STORE_CORRUPT");
  }
}

// Protobuf may order fields as it likes.
TEST(StepCodecTest, ThePayloadMayStandAnywhere) {
  const LayerImage layer = LinearLayer();
  const RetainedInput input = InputFor(layer, 32);
  const std::string bytes = EncodeRecord(MakeRecord(layer, MakeShape({2, 4})), &input);
  stored::StoredStep payload;
  payload.set_payload(bytes.substr(bytes.size() - 32));
  const std::string head = bytes.substr(1, bytes.size() - 1 - 34);
  const std::string moved = "\2" + payload.SerializeAsString() + head;
  EXPECT_EQ(DecodeStep(moved)->payload, DecodeStep(bytes)->payload);
  EXPECT_EQ(ReasonText(Read(moved, layer)), "OK");
}

TEST(StepCodecTest, WhatNeedsALaterVersionSaysSo) {
  const LayerImage layer = LayerOf(DropoutOptions{});
  const std::string bytes = EncodeRecord(MakeRecord(layer, MakeShape({2, 4})), nullptr);
  for (const std::string& newer :
       {"\3" + bytes.substr(1), ChangedStep(bytes, [](auto& step) { step.set_reads_from(3); }),
        ChangedStep(bytes, [](auto& step) { step.set_mode(stored::Mode(2)); }),
        ChangedStep(bytes, [](auto& step) { step.set_input_type(stored::DataType(4)); }),
        ChangedStep(bytes, [](auto& step) {
          step.mutable_config()->set_generator(stored::Generator(2));
        })}) {
    EXPECT_EQ(ReasonText(Read(newer, layer)), "STORE_FORMAT_NEWER");
  }
  // But a field more is passed over.
  const std::string more = ChangedStep(bytes, [](stored::StoredStep& step) {
    step.GetReflection()->MutableUnknownFields(&step)->AddVarint(1000, 1);
  });
  EXPECT_EQ(ReasonText(Read(more, layer)), "OK");
}

TEST(StepCodecTest, WhatItsLayerDoesNotWriteIsCorrupt) {
  const LayerImage layer = LayerOf(SpatialOptions{1});
  const std::string bytes = EncodeRecord(MakeRecord(layer, MakeShape({2, 4, 3})), nullptr);
  EXPECT_EQ(ReasonText(Read(bytes, layer)), "OK");
  EXPECT_EQ(ReasonText(Read(bytes, layer, {1, 0, 5})), "STORE_CORRUPT");  // No sequences.
  for (const std::string& bad :
       {std::string(), std::string("\2"), ChangedStep(bytes, [](auto& step) { step.set_p(0.5); }),
        ChangedStep(bytes, [](auto& step) { step.clear_config(); }),
        ChangedStep(bytes, [](auto& step) { step.mutable_config()->set_p(1.0); }),
        ChangedStep(bytes, [](auto& step) { step.clear_shape(); }),
        ChangedStep(bytes, [](auto& step) { step.set_shape(0, -1); }),
        ChangedStep(bytes, [](auto& step) { step.set_shape(0, INT64_MAX); }),
        ChangedStep(bytes, [](auto& step) { step.set_bit_count(24); }),
        ChangedStep(bytes, [](auto& step) { step.set_revision(0); }),
        ChangedStep(bytes, [](auto& step) { step.mutable_parameters_id()->set_number(1); })}) {
    EXPECT_EQ(ReasonText(Read(bad, layer)), "STORE_CORRUPT");
  }
}

TEST(StepCodecTest, DamagedBytesAreErrorsOrValid) {
  const LayerImage layer = LinearLayer();
  const RetainedInput input = InputFor(layer, 32);
  const std::string good = EncodeRecord(MakeRecord(layer, MakeShape({2, 4})), &input);
  std::mt19937 random(1);
  const auto parameters = std::make_shared<const Parameters>(WeightsOf(4, 3));
  const auto read = [&](const std::string& bytes) {
    const auto step = DecodeStep(bytes);
    if (!step.ok()) return step.status();
    const auto record = RecordOf(*step, {}, layer, kToken);
    if (!record.ok()) return record.status();
    return InputOf(*step, *record, parameters).status();
  };
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(ReasonText(read(good.substr(0, size))), "STORE_CORRUPT") << size;
  }
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    for (unsigned changes = 1 + random() % 4; changes != 0; --changes) {
      bad[random() % bad.size()] = static_cast<char>(random());
    }
    const absl::Status status = read(bad);
    EXPECT_TRUE(status.ok() || ReasonOf(status).has_value()) << status;
  }
}

}  // namespace
}  // namespace dropoutd
