#include "client/cli/layer_options.h"

#include <gtest/gtest.h>

#include <variant>
#include <vector>

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

TEST(LayerOptionsTest, OnlyTheIdIsRequired) {
  const auto layer = ParseLayer("id");
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->p, 0.0);
  EXPECT_EQ(layer->mode, Mode::kUnspecified);
  EXPECT_EQ(layer->generator, Generator::kUnspecified);
  EXPECT_TRUE(std::get<Dropout>(layer->variant).broadcast_axes.empty());
}

TEST(LayerOptionsTest, RefusesOtherText) {
  for (const char* text :
       {"id,p", "id,p=", "id,p=x", "id,q=1", "id,p=0.1,p=0.2", "id,mode=on", "id,generator=PHILOX",
        "id,scaling=x", "id,broadcast_axes=", "id,broadcast_axes=1,2", "id,"}) {
    EXPECT_EQ(ParseLayer(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(LayerOptionsTest, WhatIsNotGivenKeepsItsValue) {
  Layer layer;
  layer.p = 0.25;
  layer.scaling = Scaling::kEval;
  layer.mode = Mode::kTrain;
  layer.variant = Dropout{{1}};
  LayerOptions options;
  options.mode = Mode::kEval;
  Apply(options, &layer);
  EXPECT_EQ(layer.p, 0.25);
  EXPECT_EQ(layer.scaling, Scaling::kEval);
  EXPECT_EQ(layer.mode, Mode::kEval);
  EXPECT_EQ(std::get<Dropout>(layer.variant).broadcast_axes, Axes{1});
  options.broadcast_axes = Axes{};
  options.p = 0.0;
  Apply(options, &layer);
  EXPECT_EQ(layer.p, 0.0);
  EXPECT_TRUE(std::get<Dropout>(layer.variant).broadcast_axes.empty());
}

}  // namespace
}  // namespace dropout::cli
