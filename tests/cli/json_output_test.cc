#include "client/cli/json_output.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <variant>

#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

TEST(JsonOutputTest, TensorsAreNested) {
  EXPECT_EQ(DumpJsonLine(ToJson(
                MakeTensor<float>(DataType::kFloat32, {2, 1, 2}, {0.1f, 0.0f, -1.5f, 2.0f}))),
            R"({"dtype":"float32","shape":[2,1,2],"data":[[[0.1,0.0]],[[-1.5,2.0]]]})");
  EXPECT_EQ(DumpJsonLine(ToJson(MakeTensor<double>(DataType::kFloat64, {}, {0.5}))),
            R"({"dtype":"float64","shape":[],"data":0.5})");
  EXPECT_EQ(DumpJsonLine(ToJson(MakeTensor<double>(DataType::kFloat64, {2, 0}, {}))),
            R"({"dtype":"float64","shape":[2,0],"data":[[],[]]})");
}

TEST(JsonOutputTest, NotFiniteNumbersAreTexts) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(DumpJsonLine(ToJson(MakeTensor<double>(
                DataType::kFloat64, {3},
                {std::numeric_limits<double>::quiet_NaN(), infinity, -infinity}))["data"]),
            R"(["NaN","Infinity","-Infinity"])");
}

TEST(JsonOutputTest, Masks) {
  EXPECT_EQ(DumpJsonLine(ToJson(MakeMask({2, 2}, "0100"))),
            R"({"shape":[2,2],"scale":2.0,"sample_scales":[],"kept_share":0.25,)"
            R"("kept":[[0,1],[0,0]]})");
  Mask multipliers;
  multipliers.shape = {1};
  multipliers.multipliers = MakeTensor<float>(DataType::kFloat32, {1}, {0.5f});
  EXPECT_EQ(DumpJsonLine(ToJson(multipliers)),
            R"({"shape":[1],"scale":1.0,"sample_scales":[],)"
            R"("multipliers":{"dtype":"float32","shape":[1],"data":[0.5]}})");
}

TEST(JsonOutputTest, Sessions) {
  Session session;
  session.session_id = "s";
  session.seed = 18446744073709551615u;
  session.mode = Mode::kTrain;
  session.ttl = std::chrono::minutes(90);
  Layer layer;
  layer.layer_id = "l";
  layer.p = 0.5;
  layer.mode = Mode::kEval;
  layer.generator = static_cast<Generator>(7);
  layer.scaling = Scaling::kInverted;
  layer.variant = Dropout{{1, 2}};
  session.layers = {layer};
  EXPECT_EQ(DumpJsonLine(ToJson(session)),
            R"({"session_id":"s","seed":"18446744073709551615","mode":"train","layers":[)"
            R"_({"layer_id":"l","mode":"eval","revision":"0","p":0.5,"generator":"unknown(7)",)_"
            R"("scaling":"inverted","variant":"dropout","dropout":{"broadcast_axes":[1,2]}}],)"
            R"("ttl":"5400s","create_time":"1970-01-01T00:00:00Z",)"
            R"("expire_time":"1970-01-01T00:00:00Z"})");
}

TEST(JsonOutputTest, VariantsAndSchedules) {
  Layer layer;
  layer.layer_id = "l";
  layer.variant = StochasticDepth{DepthMode::kBatch, 2, 12};
  layer.schedule = PiecewiseSchedule{{10}, {0.25, 0.5}};
  const Json json = ToJson(layer);
  EXPECT_EQ(json["variant"], "stochastic_depth");
  EXPECT_EQ(DumpJsonLine(json["stochastic_depth"]),
            R"({"mode":"batch","depth_index":"2","depth_count":"12"})");
  EXPECT_EQ(DumpJsonLine(json["schedule"]),
            R"({"piecewise":{"boundaries":["10"],"values":[0.25,0.5]}})");
  layer.variant = Variational{};
  layer.schedule = CosineSchedule{0.1, 0.2, 3, 4};
  EXPECT_EQ(DumpJsonLine(ToJson(layer)["variational"]), R"({"time_axis":null})");
  EXPECT_EQ(DumpJsonLine(ToJson(layer)["schedule"]),
            R"({"cosine":{"start_p":0.1,"end_p":0.2,"start_step":"3","end_step":"4"}})");
  layer.variant = Alpha{};
  EXPECT_EQ(DumpJsonLine(ToJson(layer)["alpha"]), "{}");
  layer.variant = std::monostate{};
  EXPECT_EQ(ToJson(layer)["variant"], "unknown");
}

TEST(JsonOutputTest, ErrorsAndBrokenText) {
  EXPECT_EQ(DumpJsonLine(ErrorJson("NOT_FOUND", "", "no \xFF")),
            "{\"error\":{\"code\":\"NOT_FOUND\",\"reason\":\"\",\"message\":\"no \xEF\xBF\xBD\"}}");
}

}  // namespace
}  // namespace dropout::cli
