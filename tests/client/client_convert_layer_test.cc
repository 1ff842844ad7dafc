#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>

#include "client/convert.h"

namespace dropout {
namespace {

using google::protobuf::TextFormat;
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;

v1::Layer Parse(const std::string& text) {
  v1::Layer message;
  EXPECT_TRUE(TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

void ExpectMessage(const v1::Layer& message, const std::string& text) {
  EXPECT_TRUE(MessageDifferencer::Equals(message, Parse(text)))
      << message.DebugString() << "instead of\n"
      << text;
}

v1::Layer Message(const Layer& layer) {
  v1::Layer message;
  ToProto(layer, &message);
  return message;
}

TEST(ConvertLayerTest, ThereAndBack) {
  Layer layer;
  layer.layer_id = "drop";
  layer.mode = Mode::kEval;
  layer.revision = 3;
  layer.p = 0.25;
  layer.generator = Generator::kNumpyLegacy;
  layer.scaling = Scaling::kEval;
  layer.variant = Dropout{{1, -2}};
  v1::Layer message = Message(layer);
  ExpectMessage(message, R"(layer_id: "drop" mode: MODE_EVAL revision: 3 p: 0.25
                            generator: GENERATOR_NUMPY_LEGACY scaling: SCALING_EVAL
                            dropout { broadcast_axes: 1 broadcast_axes: -2 })");

  const Layer back = FromProto(std::move(message));
  EXPECT_EQ(back.layer_id, "drop");
  EXPECT_EQ(back.mode, Mode::kEval);
  EXPECT_EQ(back.revision, 3u);
  EXPECT_EQ(back.p, 0.25);
  EXPECT_EQ(back.generator, Generator::kNumpyLegacy);
  EXPECT_EQ(back.scaling, Scaling::kEval);
  EXPECT_FALSE(back.schedule.has_value());
  EXPECT_THAT(std::get<Dropout>(back.variant).broadcast_axes, ElementsAre(1, -2));
}

TEST(ConvertLayerTest, ADefaultLayerIsDropout) { ExpectMessage(Message(Layer{}), "dropout {}"); }

TEST(ConvertLayerTest, MonostateSetsNoVariant) {
  Layer layer;
  layer.variant = std::monostate{};
  EXPECT_EQ(Message(layer).variant_case(), v1::Layer::VARIANT_NOT_SET);
}

TEST(ConvertLayerTest, UnknownVariantsAndSchedulesAndNewerEnumeratorsAreKeptApart) {
  v1::Layer message = Parse("schedule {}");
  message.set_generator(static_cast<v1::Generator>(7));
  const Layer layer = FromProto(std::move(message));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(layer.variant));
  ASSERT_TRUE(layer.schedule.has_value());
  EXPECT_TRUE(std::holds_alternative<std::monostate>(*layer.schedule));
  EXPECT_EQ(static_cast<int>(layer.generator), 7);
}

struct VariantCase {
  Variant variant;
  const char* text;
};

class ConvertVariantTest : public testing::TestWithParam<VariantCase> {};

// Every field has a value that is not its default, so that one that is left out is missed.
const VariantCase kVariants[] = {
    {Dropout{{1, -2}}, "dropout { broadcast_axes: 1 broadcast_axes: -2 }"},
    {Gaussian{{0}}, "gaussian { broadcast_axes: 0 }"},
    {Alpha{}, "alpha {}"},
    {FeatureAlpha{-1}, "feature_alpha { channel_axis: -1 }"},
    {Spatial{2}, "spatial { channel_axis: 2 }"},
    {DropBlock{{3, 5}, -1, Gamma::kPaper, Normalization::kBatch, true},
     R"(drop_block { block_size: 3 block_size: 5 channel_axis: -1 gamma: GAMMA_PAPER
                     normalization: NORMALIZATION_BATCH share_channels: true })"},
    {Concrete{0.5, 0.25, 0.125, true},
     R"(concrete { temperature: 0.5 weight_regularizer: 0.25 dropout_regularizer: 0.125
                   spatial: true })"},
    {DropConnect{3, 2, false, MaskScope::kBatch, ConnectTarget::kWeights},
     R"(drop_connect { in_features: 3 out_features: 2 bias: false mask_scope: MASK_SCOPE_BATCH
                       target: CONNECT_TARGET_WEIGHTS })"},
    {Variational{0}, "variational { time_axis: 0 }"},
    {Recurrent{MaskScope::kStep}, "recurrent { mask_scope: MASK_SCOPE_STEP }"},
    {StochasticDepth{DepthMode::kBatch, 2, 12},
     "stochastic_depth { mode: DEPTH_MODE_BATCH depth_index: 2 depth_count: 12 }"},
};

TEST_P(ConvertVariantTest, ThereAndBack) {
  Layer layer;
  layer.variant = GetParam().variant;
  v1::Layer message = Message(layer);
  ExpectMessage(message, GetParam().text);
  const Layer back = FromProto(std::move(message));
  EXPECT_EQ(back.variant.index(), layer.variant.index());
  ExpectMessage(Message(back), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(All, ConvertVariantTest, testing::ValuesIn(kVariants));

TEST(ConvertVariantTest, EveryVariantIsTested) {
  EXPECT_EQ(std::size(kVariants), std::variant_size_v<Variant> - 1);  // But monostate.
}

TEST(ConvertVariantTest, WhatIsUnsetHasTheDefaults) {
  EXPECT_EQ(std::get<FeatureAlpha>(FromProto(Parse("feature_alpha {}")).variant).channel_axis, 1);
  EXPECT_EQ(std::get<Spatial>(FromProto(Parse("spatial {}")).variant).channel_axis, 1);
  const auto block = std::get<DropBlock>(FromProto(Parse("drop_block {}")).variant);
  EXPECT_EQ(block.channel_axis, 1);
  EXPECT_TRUE(block.block_size.empty());
  EXPECT_TRUE(std::get<DropConnect>(FromProto(Parse("drop_connect {}")).variant).bias);
  EXPECT_FALSE(std::get<Variational>(FromProto(Parse("variational {}")).variant).time_axis);
  EXPECT_FALSE(std::get<Concrete>(FromProto(Parse("concrete {}")).variant).temperature);
  // And what is unset here stays unset, so that the server's defaults hold.
  Layer layer;
  layer.variant = Concrete{};
  EXPECT_FALSE(Message(layer).concrete().has_temperature());
  layer.variant = Variational{};
  EXPECT_FALSE(Message(layer).variational().has_time_axis());
}

TEST(ConvertScheduleTest, ThereAndBack) {
  const std::pair<Schedule, const char*> cases[] = {
      {LinearSchedule{0.1, 0.2, 3, 4},
       "linear { start_p: 0.1 end_p: 0.2 start_step: 3 end_step: 4 }"},
      {CosineSchedule{0.1, 0.2, 3, 4},
       "cosine { start_p: 0.1 end_p: 0.2 start_step: 3 end_step: 4 }"},
      {CurriculumSchedule{0.5, 0.01}, "curriculum { end_p: 0.5 gamma: 0.01 }"},
      {PiecewiseSchedule{{10, 20}, {0.1, 0.2, 0.3}},
       "piecewise { boundaries: 10 boundaries: 20 values: 0.1 values: 0.2 values: 0.3 }"},
  };
  for (const auto& [schedule, text] : cases) {
    Layer layer;
    layer.schedule = schedule;
    v1::Layer message = Message(layer);
    const std::string whole = std::string("schedule { ") + text + " } dropout {}";
    ExpectMessage(message, whole);
    const Layer back = FromProto(std::move(message));
    ASSERT_TRUE(back.schedule.has_value());
    EXPECT_EQ(back.schedule->index(), schedule.index());
    ExpectMessage(Message(back), whole);
  }
}

}  // namespace
}  // namespace dropout
