// Records of a store that are wrong under a right checksum: STORE_CORRUPT, or an answer; no harm.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/session/engine.h"
#include "server/session/session_codec.h"
#include "server/store/memory_store.h"
#include "tests/session/support.h"

namespace dropoutd {
namespace {

constexpr std::int64_t kSamples = 2;
constexpr std::int64_t kFeatures = 3;
constexpr std::int64_t kOut = 2;
constexpr char kWhole[] = "whole";
constexpr char kChanged[] = "changed";

std::vector<LayerConfig> Layers() {
  std::vector<LayerConfig> layers;
  for (const char* const id : {"plain", "concrete", "linear", "variational"}) {
    layers.push_back(MakeLayer(id, 0.4));
  }
  layers.push_back(MakeLayer("numpy", 0.5, Generator::kNumpyLegacy));
  layers[1].options = ConcreteOptions();
  DropConnectOptions linear;
  linear.in_features = kFeatures;
  linear.out_features = kOut;
  layers[2].options = linear;
  layers[3].options = VariationalOptions();
  return layers;
}

Parameter Ones(std::string name, std::initializer_list<std::int64_t> sizes) {
  Parameter parameter{std::move(name), DataType::kFloat64, MakeShape(sizes), {}};
  const double one = 1.0;
  const auto* const bytes = reinterpret_cast<const std::byte*>(&one);
  for (std::int64_t i = 0; i < parameter.shape.ElementCount(); ++i) {
    parameter.data.insert(parameter.data.end(), bytes, bytes + sizeof(one));
  }
  return parameter;
}

class EngineDamageTest : public testing::TestWithParam<bool> {
 protected:
  EngineDamageTest() {
    Engine maker{Limits(), Clock::System(), &store_};
    EXPECT_TRUE(maker.CreateSession(MakeSpec(kWhole, 7, Layers())).ok());
    EXPECT_TRUE(maker
                    .SetParameters(kWhole, "linear",
                                   {Ones("weight", {kOut, kFeatures}), Ones("bias", {kOut})})
                    .ok());
    for (const LayerConfig& layer : Layers()) Use(maker, kWhole, layer.layer_id, 1);
    // Of another configuration and other parameters from now on.
    LayerConfig plain = Layers()[0];
    plain.p = 0.25;
    EXPECT_TRUE(maker.UpdateLayer(kWhole, plain).ok());
    EXPECT_TRUE(maker.SetParameters(kWhole, "linear", {Ones("bias", {kOut})}).ok());
    StoreQuery all;
    document_ = *store_.Query(kWhole, all)->document;
    fields_ = store_.Scan(kWhole, {"", "\xff"}, 1000).value();
  }

  // Forward, unless the step has run, Backward and GetMask; each answers, or says what is damaged.
  void Use(Engine& engine, std::string_view session, std::string_view layer, std::uint64_t step,
           bool is_new = true) {
    StepRef at{session, layer, step};
    at.sequence_id = 5;
    const std::int64_t out = layer == "linear" ? kOut : kFeatures;
    const std::vector<float> x(kSamples * kFeatures, 1.0f);
    const std::vector<float> dy(static_cast<std::size_t>(kSamples * out), 1.0f);
    std::vector<float> y(dy.size());
    std::vector<float> dx(x.size());
    if (is_new) {
      Count(engine.Forward(at, {DataType::kFloat32, MakeShape({kSamples, kFeatures}), x.data()},
                           y.data(), true));
    }
    Count(engine.Backward(at, {DataType::kFloat32, MakeShape({kSamples, out}), dy.data()},
                          dx.data(), false));
    Count(engine.GetMask(at, std::nullopt));
  }

  template <typename Answer>
  void Count(const Answer& answer) {
    const std::string reason = ReasonText(answer);
    corrupt_ += reason == "STORE_CORRUPT" ? 1 : 0;
    for (const char* const allowed :
         {"OK", "STORE_CORRUPT", "STEP_NOT_FOUND", "SHAPE_MISMATCH", "LAYER_NOT_FOUND",
          "SESSION_NOT_FOUND", "INVALID_TENSOR", "QUOTA_MESSAGE_BYTES", "PARAMETERS_REQUIRED"}) {
      if (reason == allowed) return;
    }
    ADD_FAILURE() << reason;
  }

  // An engine that meets the session for the first time, with one record as it should not be.
  void UseChanged(const std::string& document, const std::vector<StoreField>& fields) {
    StoreChange change;
    change.expected_version = 0;
    change.document = document;
    change.writes = fields;
    change.expire_time = std::chrono::system_clock::now() + std::chrono::hours(1);
    ASSERT_TRUE(store_.Commit(kChanged, change).ok());
    for (const LayerConfig& layer : Layers()) {
      Use(engine_, kChanged, layer.layer_id, 1, /*is_new=*/false);
      Use(engine_, kChanged, layer.layer_id, 2);
    }
    Count(engine_.GetSession(kChanged));
    Count(engine_.ExportSession(kChanged));
    Count(engine_.ListSessions("", 10));
    ASSERT_TRUE(engine_.DeleteSession(kChanged).ok());
  }

  static std::vector<char> Others(char byte) {
    return {'\0', static_cast<char>(byte + 1), static_cast<char>(byte ^ 0x10),
            static_cast<char>(byte ^ 0x80)};
  }

  MemoryStore store_{std::chrono::system_clock::now, GetParam()};
  std::string document_;
  std::vector<StoreField> fields_;
  int corrupt_ = 0;
  Engine engine_{Limits(), Clock::System(), &store_};
};

INSTANTIATE_TEST_SUITE_P(IsShared, EngineDamageTest, testing::Bool());

TEST_P(EngineDamageTest, AWholeSessionIsServed) {
  UseChanged(document_, fields_);
  EXPECT_EQ(corrupt_, 0);
}

TEST_P(EngineDamageTest, NoByteOfARecordIsTrusted) {
  for (std::size_t i = 0; i < document_.size(); ++i) {
    for (const char byte : Others(document_[i])) {
      std::string document = document_;
      document[i] = byte;
      UseChanged(document, fields_);
    }
  }
  for (std::size_t f = 0; f < fields_.size(); ++f) {
    // The state of the stream is long, and all alike.
    const std::size_t size = std::min<std::size_t>(fields_[f].value->size(), 300);
    for (std::size_t i = 0; i < size; ++i) {
      for (const char byte : Others((*fields_[f].value)[i])) {
        std::vector<StoreField> fields = fields_;
        (*fields[f].value)[i] = byte;
        UseChanged(document_, fields);
      }
    }
  }
  EXPECT_GT(corrupt_, 0);
  const EngineSummary summary = engine_.Summary();
  EXPECT_EQ(summary.parameter_bytes, 0u);
  EXPECT_EQ(summary.steps, 0u);
  EXPECT_EQ(engine_.mask_cache().reserved(), 0u);
}

// What the layer cannot do without.
TEST_P(EngineDamageTest, ParametersThatAreMissingAreCorruption) {
  for (std::size_t f = 0; f < fields_.size(); ++f) {
    const auto name = ParseFieldName(fields_[f].name);
    if (!name.has_value() || name->kind != FieldKind::kParameters) continue;
    std::vector<StoreField> fields = fields_;
    fields[f].value = EncodeParameters({});
    corrupt_ = 0;
    UseChanged(document_, fields);
    EXPECT_GT(corrupt_, 0) << "layer " << name->uid << ", version " << name->number;
  }
  SessionImage image = DecodeSession(document_).value();
  for (LayerImage& layer : image.layers) {
    if (layer.config.layer_id == "concrete") layer.parameters_version = 0;
  }
  corrupt_ = 0;
  UseChanged(EncodeSession(image), fields_);
  EXPECT_GT(corrupt_, 0);
}

}  // namespace
}  // namespace dropoutd
