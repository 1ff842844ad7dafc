#include "client/cli/layer_options.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/cli/field_text.h"
#include "client/cli/layer_table.h"
#include "client/cli/variant_fields.h"

namespace dropout::cli {
namespace {

using Axes = std::vector<std::int32_t>;

TEST(LayerOptionsTest, ParsesEverySetting) {
  const auto layer =
      ParseLayer("id,p=0.5,generator=numpy_legacy,scaling=none,broadcast_axes=1:-2,mode=eval");
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->layer_id, "id");
  EXPECT_EQ(layer->p, 0.5);
  EXPECT_EQ(layer->generator, Generator::kNumpyLegacy);
  EXPECT_EQ(layer->scaling, Scaling::kNone);
  EXPECT_EQ(layer->mode, Mode::kEval);
  EXPECT_EQ(std::get<Dropout>(layer->variant).broadcast_axes, (Axes{1, -2}));
}

TEST(LayerOptionsTest, OnlyTheIdAndPAreRequired) {
  const auto layer = ParseLayer("id,p=0");
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->p, 0.0);
  EXPECT_EQ(layer->mode, Mode::kUnspecified);
  EXPECT_EQ(layer->generator, Generator::kUnspecified);
  EXPECT_TRUE(std::get<Dropout>(layer->variant).broadcast_axes.empty());
}

TEST(LayerOptionsTest, ParsesEveryVariantWithItsFields) {
  const auto parse = [](const char* text) {
    const auto layer = ParseLayer(absl::StrCat(text, ",p=0.5"));
    EXPECT_TRUE(layer.ok()) << layer.status();
    return layer.ok() ? layer->variant : Variant();
  };
  EXPECT_EQ(std::get<Gaussian>(parse("id,variant=gaussian,broadcast_axes=0")).broadcast_axes,
            Axes{0});
  EXPECT_TRUE(std::holds_alternative<Alpha>(parse("id,variant=alpha")));
  EXPECT_EQ(std::get<FeatureAlpha>(parse("id,variant=feature_alpha,channel_axis=2")).channel_axis,
            2);
  EXPECT_EQ(std::get<Spatial>(parse("id,channel_axis=-1,variant=spatial")).channel_axis, -1);
  const auto block =
      std::get<DropBlock>(parse("id,variant=drop_block,block_size=3:5,channel_axis=-1,gamma=paper,"
                                "normalization=batch,share_channels=true"));
  EXPECT_EQ(block.block_size, (std::vector<std::int64_t>{3, 5}));
  EXPECT_EQ(block.channel_axis, -1);
  EXPECT_EQ(block.gamma, Gamma::kPaper);
  EXPECT_EQ(block.normalization, Normalization::kBatch);
  EXPECT_TRUE(block.share_channels);
  const auto concrete =
      std::get<Concrete>(parse("id,variant=concrete,temperature=0.5,weight_regularizer=1e-6,"
                               "dropout_regularizer=1e-3,spatial=true"));
  EXPECT_EQ(concrete.temperature, 0.5);
  EXPECT_EQ(concrete.weight_regularizer, 1e-6);
  EXPECT_EQ(concrete.dropout_regularizer, 1e-3);
  EXPECT_TRUE(concrete.spatial);
  const auto connect = std::get<DropConnect>(
      parse("id,variant=drop_connect,in_features=3,out_features=2,bias=false,mask_scope=batch,"
            "target=weights"));
  EXPECT_EQ(connect.in_features, 3);
  EXPECT_EQ(connect.out_features, 2);
  EXPECT_FALSE(connect.bias);
  EXPECT_EQ(connect.mask_scope, MaskScope::kBatch);
  EXPECT_EQ(connect.target, ConnectTarget::kWeights);
  EXPECT_EQ(std::get<Variational>(parse("id,variant=variational,time_axis=0")).time_axis, 0);
  EXPECT_EQ(std::get<Recurrent>(parse("id,variant=recurrent,mask_scope=step")).mask_scope,
            MaskScope::kStep);
  const auto depth = std::get<StochasticDepth>(
      parse("id,variant=stochastic_depth,depth_mode=batch,depth_index=2,depth_count=12,mode=eval"));
  EXPECT_EQ(depth.mode, DepthMode::kBatch);
  EXPECT_EQ(depth.depth_index, 2);
  EXPECT_EQ(depth.depth_count, 12);
}

TEST(LayerOptionsTest, SchedulesReadBackAsTheyAreWritten) {
  for (const char* text :
       {"linear:0:0.5:10:1000", "cosine:0.25:0:0:18446744073709551615", "curriculum:0.5:0.001",
        "piecewise:0.1:100:0.2:200:0.3", "piecewise:0.1"}) {
    const auto layer = ParseLayer(std::string("id,schedule=") + text);
    ASSERT_TRUE(layer.ok()) << layer.status();
    ASSERT_TRUE(layer->schedule.has_value());
    EXPECT_EQ(FormatSchedule(*layer->schedule), text);
  }
  EXPECT_FALSE(ParseLayer("id,p=0.5,schedule=none")->schedule.has_value());
}

TEST(LayerOptionsTest, AsksForP) {
  for (const char* text : {"id", "id,variant=gaussian", "id,schedule=none"}) {
    EXPECT_EQ(ParseLayer(text).status().message(),
              "p: not given for layer \"id\": give it with \"id,p=0.5\", the probability that an "
              "element is dropped, in [0, 1), or with schedule=SCHEDULE");
  }
  EXPECT_FALSE(ParseLayer("id,schedule=curriculum:0.5:0.1")->p.has_value());
  EXPECT_FALSE(ParseLayer("id,variant=concrete")->p.has_value());
}

TEST(LayerOptionsTest, RefusesOtherText) {
  for (const char* text : {"id,p",
                           "id,p=",
                           "id,p=x",
                           "id,q=1",
                           "id,p=0.1,p=0.2",
                           "id,mode=on",
                           "id,generator=PHILOX",
                           "id,scaling=x",
                           "id,broadcast_axes=",
                           "id,broadcast_axes=1,2",
                           "id,",
                           "id,variant=other",
                           "id,variant=unknown",
                           "id,variant=alpha,channel_axis=1",
                           "id,block_size=7",
                           "id,variant=drop_block,block_size=7x",
                           "id,variant=drop_block,share_channels=1",
                           "id,variant=drop_connect,in_features=9223372036854775808",
                           "id,variant=recurrent,mask_scope=BATCH",
                           "id,variant=variational,time_axis=",
                           "id,schedule=",
                           "id,schedule=linear",
                           "id,schedule=linear:0:0.5:0",
                           "id,schedule=step:1",
                           "id,schedule=linear:0:0.5:-1:5",
                           "id,schedule=curriculum:0.5",
                           "id,schedule=piecewise:0.1:5",
                           "id,schedule=piecewise:"}) {
    EXPECT_EQ(ParseLayer(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(LayerOptionsTest, AWrongFieldIsNamedWithThoseThereAre) {
  EXPECT_EQ(ParseLayer("id,variant=spatial,block_size=7").status().message(),
            "block_size is not an option of spatial, which has channel_axis");
  EXPECT_EQ(ParseLayer("id,variant=alpha,block_size=7").status().message(),
            "block_size is not an option of alpha, which has none of its own");
}

TEST(LayerOptionsTest, EveryFieldOfEveryVariantIsAnOption) {
  CLI::App app;
  LayerOptions options;
  AddLayerOptions(&app, &options);
  for (const std::string& name : VariantNames()) {
    Variant variant = MakeVariant(name).value();
    VisitFieldsOf(variant, [&](absl::string_view field, auto&) {
      const std::string option = "--" + absl::StrReplaceAll(SettingName(field), {{"_", "-"}});
      EXPECT_NE(app.get_option_no_throw(option), nullptr) << option;
    });
  }
}

TEST(LayerOptionsTest, WhatIsNotGivenKeepsItsValue) {
  Layer layer;
  layer.p = 0.25;
  layer.scaling = Scaling::kEval;
  layer.mode = Mode::kTrain;
  layer.schedule = CurriculumSchedule{0.5, 0.1};
  layer.variant = Dropout{{1}};
  LayerOptions options;
  options.mode = Mode::kEval;
  ASSERT_TRUE(Apply(options, &layer).ok());
  EXPECT_EQ(layer.p, 0.25);
  EXPECT_EQ(layer.scaling, Scaling::kEval);
  EXPECT_EQ(layer.mode, Mode::kEval);
  EXPECT_TRUE(layer.schedule.has_value());
  EXPECT_EQ(std::get<Dropout>(layer.variant).broadcast_axes, Axes{1});
  options.of_variant["broadcast_axes"] = "none";
  options.variant = "dropout";
  options.p = 0.0;
  options.schedule.emplace();
  ASSERT_TRUE(Apply(options, &layer).ok());
  EXPECT_EQ(layer.p, 0.0);
  EXPECT_FALSE(layer.schedule.has_value());
  EXPECT_TRUE(std::get<Dropout>(layer.variant).broadcast_axes.empty());
}

TEST(LayerOptionsTest, AnotherVariantStartsFromItsDefaults) {
  Layer layer;
  layer.variant = FeatureAlpha{3};
  LayerOptions options;
  options.variant = "spatial";
  ASSERT_TRUE(Apply(options, &layer).ok());
  EXPECT_EQ(std::get<Spatial>(layer.variant).channel_axis, 1);
}

TEST(LayerTableTest, ShowsTheVariantsFieldsAndTheSchedule) {
  std::ostringstream out;
  PrintLayers(out, {*ParseLayer("a,p=0.1,variant=drop_block,block_size=3:5,gamma=exact"),
                    *ParseLayer("b,schedule=linear:0:0.5:0:1000,variant=variational"),
                    *ParseLayer("c,p=0.5,variant=stochastic_depth,depth_mode=row")});
  const std::string text = out.str();
  EXPECT_NE(text.find("drop_block, block_size 3:5, channel_axis 1, gamma exact"), std::string::npos)
      << text;
  EXPECT_NE(text.find("linear:0:0.5:0:1000"), std::string::npos) << text;
  EXPECT_NE(text.find("  variational\n"), std::string::npos) << text;  // No time axis, no word.
  EXPECT_NE(text.find("stochastic_depth, depth_mode row, depth_index 0"), std::string::npos)
      << text;
}

}  // namespace
}  // namespace dropout::cli
