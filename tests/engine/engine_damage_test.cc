// Records of a store that are wrong under a right checksum: STORE_CORRUPT, or an answer; no harm.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/engine/engine.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_codec.h"
#include "server/store/memory_store.h"
#include "tests/engine/manual_clock.h"
#include "tests/engine/support.h"

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
    Engine maker{Limits(), clock_, &store_};
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
    const auto snapshot = store_.Snapshot(kWhole).value();
    parts_ = snapshot->session().parts;
    fields_ = snapshot->Next(1000).value();
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
          "SESSION_NOT_FOUND", "INVALID_TENSOR", "QUOTA_MESSAGE_BYTES", "PARAMETERS_REQUIRED",
          "STORE_FORMAT_NEWER"}) {
      if (reason == allowed) return;
    }
    ADD_FAILURE() << reason;
  }

  // The session as it should not be, which no engine has met.
  void Make(const std::vector<StorePart>& parts, const std::vector<StoreField>& fields) {
    StoreChange change;
    change.token = Token::Random();
    change.incarnation = Token::Random();
    change.expected = removal_;
    change.makes = SessionLimit{"", 100, 100};
    change.parts = parts;
    for (const StoreField& each : fields) change.writes.push_back({each.name, each.value, {}});
    change.ttl = std::chrono::hours(1);
    const auto made = store_.Commit(kChanged, change);
    ASSERT_TRUE(made.ok());
    ASSERT_EQ(made->outcome, StoreOutcome::kDone);
    session_ = change.incarnation;
  }

  void UseChanged(const std::vector<StorePart>& parts, const std::vector<StoreField>& fields) {
    Make(parts, fields);
    for (const LayerConfig& layer : Layers()) {
      Use(engine_, kChanged, layer.layer_id, 1, /*is_new=*/false);
      Use(engine_, kChanged, layer.layer_id, 2);
    }
    Count(engine_.GetSession(kChanged));
    Count(engine_.ExportSession(kChanged));
    Count(engine_.ListSessions("", 10));
    ASSERT_EQ(ReasonText(engine_.DeleteSession(kChanged)), "OK");
    // What the next one under the key has to name.
    removal_ = {};
    StoreChange late;
    late.token = Token::Random();
    late.incarnation = Token::Random();
    late.expected = Token::Random();
    late.makes = SessionLimit{"", 100, 100};
    late.ttl = std::chrono::hours(1);
    const auto refused = store_.Commit(kChanged, late);
    ASSERT_EQ(refused->outcome, StoreOutcome::kConflict);
    ASSERT_FALSE(refused->exists);
    removal_ = refused->token;
  }

  static std::vector<char> Others(char byte) {
    return {'\0', static_cast<char>(byte + 1), static_cast<char>(byte ^ 0x10),
            static_cast<char>(byte ^ 0x80)};
  }

  ManualClock clock_;  // Stands still: no session ends, however short its life.
  MemoryStore store_{[this] { return clock_.Now(); }, GetParam()};
  std::vector<StorePart> parts_;
  std::vector<StoreField> fields_;
  Token session_;  // The incarnation of the one that was made last.
  Token removal_;  // That took the last session under the key.
  int corrupt_ = 0;
  Engine engine_{Limits(), clock_, &store_};
};

INSTANTIATE_TEST_SUITE_P(IsShared, EngineDamageTest, testing::Bool());

TEST_P(EngineDamageTest, AWholeSessionIsServed) {
  UseChanged(parts_, fields_);
  EXPECT_EQ(corrupt_, 0);
}

TEST_P(EngineDamageTest, NoByteOfARecordIsTrusted) {
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    for (std::size_t i = 0; i < parts_[p].value->size(); ++i) {
      for (const char byte : Others((*parts_[p].value)[i])) {
        std::vector<StorePart> parts = parts_;
        (*parts[p].value)[i] = byte;
        UseChanged(parts, fields_);
      }
    }
  }
  for (std::size_t f = 0; f < fields_.size(); ++f) {
    // The state of the stream is long, and all alike.
    const std::size_t size = std::min<std::size_t>(fields_[f].value->size(), 300);
    for (std::size_t i = 0; i < size; ++i) {
      for (const char byte : Others((*fields_[f].value)[i])) {
        std::vector<StoreField> fields = fields_;
        (*fields[f].value)[i] = byte;
        UseChanged(parts_, fields);
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
    UseChanged(parts_, fields);
    EXPECT_GT(corrupt_, 0) << "layer " << name->uid << ", version " << name->parameters.number;
  }
  const SessionImage image = DecodeSession(parts_, {1, 1}).value();
  LayerImage concrete = *image.layers.at("concrete");
  concrete.parameters_id = {};
  std::vector<StorePart> parts = parts_;
  const StorePart without = EncodeLayer(concrete);
  for (StorePart& part : parts) {
    if (part.name == without.name) part = without;
  }
  corrupt_ = 0;
  UseChanged(parts, fields_);
  EXPECT_GT(corrupt_, 0);
}

// One bad apple: a listing answers the others, and names it.
TEST_P(EngineDamageTest, AListingNamesDamagedSessionsAndAnswersTheOthers) {
  std::vector<StorePart> parts = parts_;
  parts.front().value = "damaged";
  Make(parts, fields_);
  ASSERT_EQ(ReasonText(engine_.CreateSession(MakeSpec("a", 1, {}))), "OK");
  ASSERT_EQ(ReasonText(engine_.GetSession(kChanged)), "STORE_CORRUPT");
  std::vector<std::string> good;
  std::vector<std::string> bad;
  std::string after;
  do {
    const auto page = engine_.ListSessions(after, 1);
    ASSERT_EQ(ReasonText(page), "OK");
    for (const SessionView& each : page->sessions) good.push_back(each.session_id);
    for (const std::string& each : page->corrupt) bad.push_back(each);
    after = page->next;
  } while (!after.empty());
  EXPECT_EQ(good, (std::vector<std::string>{"a", kWhole}));
  EXPECT_EQ(bad, std::vector<std::string>{kChanged});
  EXPECT_EQ(ReasonText(engine_.DeleteSession(kChanged)), "OK");
  EXPECT_EQ(ReasonText(engine_.CreateSession(MakeSpec(kChanged, 1, {}))), "OK");
}

// Whoever serves a copy of a session that the store then finds to be damaged stops serving it.
TEST_P(EngineDamageTest, ASessionThatWasSetAsideIsNotAnsweredFromACopy) {
  Make(parts_, fields_);
  ASSERT_EQ(ReasonText(engine_.GetSession(kChanged)), "OK");
  // Another server's write, of bytes that nobody can read.
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = session_;
  change.parts = {{parts_.front().name, "damaged"}};
  ASSERT_EQ(store_.Commit(kChanged, change)->outcome, StoreOutcome::kDone);
  // A server with a store of its own finds out when it next writes.
  const std::string first = ReasonText(engine_.SetMode(kChanged, Mode::kEval, {}));
  EXPECT_EQ(first, "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(engine_.GetSession(kChanged)), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(engine_.GetParameters(kChanged, "linear")), "STORE_CORRUPT");
  EXPECT_EQ(engine_.Summary().sessions, 0u);
}

}  // namespace
}  // namespace dropoutd
