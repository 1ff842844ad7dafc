// Export, import and fork.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/base/crc32c.h"
#include "server/engine/engine.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/snapshot_file.h"
#include "server/persistence/step_codec.h"
#include "tests/engine/manual_clock.h"
#include "tests/engine/reencode.h"
#include "tests/engine/support.h"
#include "tests/engine/test_engine.h"

namespace dropoutd {
namespace {

constexpr std::int64_t kSamples = 6;
constexpr std::int64_t kFeatures = 8;

LayerConfig Named(std::string layer_id, double p) { return MakeLayer(std::move(layer_id), p); }

LayerConfig Linear() {
  LayerConfig config = Named("linear", 0.5);
  DropConnectOptions options;
  options.in_features = kFeatures;
  options.out_features = 3;
  options.bias = false;
  config.options = options;
  return config;
}

LayerConfig Concrete() {
  LayerConfig config = Named("concrete", 0.3);
  config.options = ConcreteOptions();
  return config;
}

LayerConfig Variational() {
  LayerConfig config = Named("variational", 0.4);
  config.options = VariationalOptions();
  return config;
}

Parameter Weight(float value) {
  Parameter weight{"weight", DataType::kFloat32, MakeShape({3, kFeatures}), {}};
  for (int i = 0; i < 3 * kFeatures; ++i) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    weight.data.insert(weight.data.end(), bytes, bytes + sizeof(value));
  }
  return weight;
}

class EngineCopiesTest : public testing::Test {
 protected:
  EngineCopiesTest() {
    LayerConfig numpy = MakeLayer("numpy", 0.5, Generator::kNumpyLegacy);
    EXPECT_TRUE(engine_
                    .CreateSession(MakeSpec(
                        "s", 7, {Named("plain", 0.25), numpy, Linear(), Concrete(), Variational()}))
                    .ok());
    EXPECT_TRUE(engine_.SetParameters("s", "linear", {Weight(0.5f)}).ok());
  }

  // A step of a layer, by session.
  static StepRef At(std::string_view session_id, std::string_view layer_id, std::uint64_t step) {
    StepRef at{session_id, layer_id, step};
    if (layer_id == "variational") at.sequence_id = 11;
    return at;
  }

  static std::int64_t OutFeatures(std::string_view layer_id) {
    return layer_id == "linear" ? 3 : kFeatures;
  }

  // The bytes of a Forward's output; the error's reason if it fails.
  static std::vector<float> Forward(Engine& engine, std::string_view session_id,
                                    std::string_view layer_id, std::uint64_t step) {
    const std::vector<float> x = MakeValues(kSamples * kFeatures, static_cast<unsigned>(step));
    std::vector<float> y(static_cast<std::size_t>(kSamples * OutFeatures(layer_id)));
    const auto outcome = engine.Forward(
        At(session_id, layer_id, step),
        {DataType::kFloat32, MakeShape({kSamples, kFeatures}), x.data()}, y.data(), false);
    EXPECT_TRUE(outcome.ok()) << layer_id << ": " << outcome.status();
    return y;
  }

  static absl::StatusOr<std::vector<float>> TryBackward(Engine& engine, std::string_view session_id,
                                                        std::string_view layer_id,
                                                        std::uint64_t step) {
    const std::int64_t out = OutFeatures(layer_id);
    const std::vector<float> dy = MakeValues(static_cast<std::size_t>(kSamples * out), 99);
    std::vector<float> dx(kSamples * kFeatures);
    const absl::Status status = engine.Backward(
        At(session_id, layer_id, step), {DataType::kFloat32, MakeShape({kSamples, out}), dy.data()},
        dx.data(), false);
    if (!status.ok()) return status;
    return dx;
  }

  static std::vector<float> Backward(Engine& engine, std::string_view session_id,
                                     std::string_view layer_id, std::uint64_t step) {
    const auto dx = TryBackward(engine, session_id, layer_id, step);
    EXPECT_TRUE(dx.ok()) << layer_id << " " << step << ": " << dx.status();
    return dx.value_or(std::vector<float>());
  }

  void RunStep(std::uint64_t step) {
    for (const char* const layer : kLayers) Forward(engine_, "s", layer, step);
  }

  void ExpectSameGradients(Engine& other, std::string_view session_id, std::uint64_t steps) {
    for (const char* const layer : kLayers) {
      for (std::uint64_t step = 0; step < steps; ++step) {
        EXPECT_EQ(Backward(engine_, "s", layer, step), Backward(other, session_id, layer, step))
            << layer << " " << step;
      }
    }
  }

  std::string Export() {
    auto snapshot = engine_.ExportSession("s");
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return std::move(snapshot).value_or("");
  }

  static constexpr const char* kLayers[] = {"plain", "numpy", "linear", "concrete", "variational"};

  // Of a snapshot, with a change of each layer that `change` makes.
  template <typename Change>
  static Snapshot WithLayers(Snapshot snapshot, const Change& change) {
    for (auto& [id, layer] : snapshot.contents.image.layers) {
      auto changed = std::make_shared<LayerImage>(*layer);
      change(*changed);
      layer = std::move(changed);
    }
    return snapshot;
  }

  ManualClock clock_;  // Stands still: no copy ends, however short its life.
  TestEngine engine_{Limits(), clock_};
  TestEngine other_{Limits(), clock_};
};

TEST_F(EngineCopiesTest, AnotherServerGoesOnWithTheSameMasks) {
  RunStep(0);
  ASSERT_TRUE(engine_.UpdateLayer("s", Named("plain", 0.75)).ok());
  ASSERT_TRUE(engine_.SetParameters("s", "linear", {Weight(-2.0f)}).ok());
  ASSERT_TRUE(engine_.SetMode("s", Mode::kEval, {"concrete"}).ok());
  RunStep(1);
  ASSERT_TRUE(engine_.SetMode("s", Mode::kTrain, {"concrete"}).ok());

  const auto copy = other_.ImportSession("copy", Export());
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(copy->session_id, "copy");
  EXPECT_EQ(copy->seed, 7u);
  const SessionView original = engine_.GetSession("s").value();
  ASSERT_EQ(copy->layers.size(), original.layers.size());
  for (std::size_t i = 0; i < copy->layers.size(); ++i) {
    EXPECT_EQ(*copy->layers[i].config, *original.layers[i].config);
    EXPECT_EQ(copy->layers[i].mode, original.layers[i].mode);
    EXPECT_EQ(copy->layers[i].revision, original.layers[i].revision);
  }
  ExpectSameGradients(other_, "copy", 2);
  // What comes next is the same too: the stream stands where it stood.
  for (const char* const layer : kLayers) {
    EXPECT_EQ(Forward(engine_, "s", layer, 2), Forward(other_, "copy", layer, 2)) << layer;
  }
}

TEST_F(EngineCopiesTest, AForkGoesItsOwnWay) {
  RunStep(0);
  ASSERT_TRUE(engine_.ForkSession("s", "fork").ok());
  const std::vector<float> before = Backward(engine_, "s", "plain", 0);
  ASSERT_TRUE(engine_.UpdateLayer("fork", Named("plain", 0.9)).ok());
  ASSERT_TRUE(engine_.DeleteLayer("fork", "linear").ok());
  ASSERT_TRUE(engine_.ReleaseSteps("fork", "numpy", 0).ok());
  EXPECT_EQ(Backward(engine_, "fork", "plain", 0), before);
  EXPECT_EQ(ReasonText(TryBackward(engine_, "fork", "numpy", 0)), "STEP_NOT_FOUND");
  EXPECT_EQ(ReasonText(TryBackward(engine_, "fork", "linear", 0)), "LAYER_NOT_FOUND");
  for (const char* const layer : kLayers) Backward(engine_, "s", layer, 0);
  // The two streams are two.
  const std::vector<float> first = Forward(engine_, "s", "numpy", 1);
  EXPECT_EQ(Forward(engine_, "fork", "numpy", 1), first);
  ASSERT_TRUE(engine_.DeleteSession("s").ok());
  EXPECT_EQ(Backward(engine_, "fork", "plain", 0), before);
}

TEST_F(EngineCopiesTest, TheSameAgainFindsTheCopy) {
  const std::string snapshot = Export();
  ASSERT_TRUE(other_.ImportSession("copy", snapshot).ok());
  ASSERT_TRUE(other_.SetMode("copy", Mode::kEval, {}).ok());
  EXPECT_EQ(other_.ImportSession("copy", snapshot)->mode, Mode::kEval);
  EXPECT_EQ(ReasonText(other_.ImportSession("copy", Export())), "SESSION_EXISTS");
  ASSERT_TRUE(engine_.ForkSession("s", "fork").ok());
  ASSERT_TRUE(engine_.SetMode("fork", Mode::kEval, {}).ok());
  EXPECT_EQ(engine_.ForkSession("s", "fork")->mode, Mode::kEval);
  ASSERT_TRUE(engine_.CreateSession(MakeSpec("t", 1, {})).ok());
  EXPECT_EQ(ReasonText(engine_.ForkSession("t", "fork")), "SESSION_EXISTS");
  EXPECT_EQ(ReasonText(engine_.ForkSession("s", "s")), "SESSION_EXISTS");
}

// A copy is made from no spec, though it may look like what one would make.
TEST_F(EngineCopiesTest, CreateSessionDoesNotFindAFork) {
  const SessionSpec spec = MakeSpec("first", 3, {Named("a", 0.5)});
  ASSERT_TRUE(engine_.CreateSession(spec).ok());
  ASSERT_TRUE(engine_.ForkSession("first", "fork").ok());
  SessionSpec same = spec;
  same.session_id = "fork";
  EXPECT_EQ(ReasonText(engine_.CreateSession(same)), "SESSION_EXISTS");
  EXPECT_EQ(ReasonText(engine_.CreateSession(spec)), "OK");
}

TEST_F(EngineCopiesTest, AScriptThatMadeTheSessionFindsItsCopyUnderTheSameId) {
  const SessionSpec spec = MakeSpec("script", 3, {Named("a", 0.5)});
  ASSERT_TRUE(engine_.CreateSession(spec).ok());
  ASSERT_TRUE(other_.ImportSession("script", engine_.ExportSession("script").value()).ok());
  EXPECT_TRUE(other_.CreateSession(spec).ok());
}

TEST_F(EngineCopiesTest, WithoutAnIdTheServerPicksOne) {
  const std::string snapshot = Export();
  const auto a = other_.ImportSession("", snapshot);
  const auto b = other_.ImportSession("", snapshot);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(a->session_id, b->session_id);
  EXPECT_EQ(ReasonText(other_.ImportSession("no id", snapshot)), "INVALID_SESSION");
  EXPECT_EQ(ReasonText(engine_.ForkSession("s", "no id")), "INVALID_SESSION");
}

TEST_F(EngineCopiesTest, WhatIsNotThereIsNotCopied) {
  EXPECT_EQ(ReasonText(engine_.ExportSession("nobody")), "SESSION_NOT_FOUND");
  EXPECT_EQ(ReasonText(engine_.ForkSession("nobody", "fork")), "SESSION_NOT_FOUND");
}

TEST_F(EngineCopiesTest, ReleasedStepsStayBehind) {
  RunStep(0);
  RunStep(1);
  ASSERT_TRUE(engine_.ReleaseSteps("s", "", 0).ok());
  ASSERT_TRUE(other_.ImportSession("copy", Export()).ok());
  for (const char* const layer : kLayers) {
    EXPECT_EQ(ReasonText(TryBackward(other_, "copy", layer, 0)), "STEP_NOT_FOUND") << layer;
    Backward(other_, "copy", layer, 1);
  }
}

TEST_F(EngineCopiesTest, ADamagedSnapshotIsRefused) {
  RunStep(0);
  const std::string snapshot = Export();
  for (std::size_t i = 0; i < snapshot.size(); ++i) {
    std::string damaged = snapshot;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_EQ(ReasonText(other_.ImportSession("copy", damaged)), "INVALID_SESSION") << i;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{15}, std::size_t{20},
                                 snapshot.size() / 2, snapshot.size() - 1}) {
    EXPECT_EQ(ReasonText(other_.ImportSession("copy", snapshot.substr(0, size))), "INVALID_SESSION")
        << size;
  }
  EXPECT_EQ(ReasonText(other_.GetSession("copy")), "SESSION_NOT_FOUND");
}

// A checksum keeps nobody from making one: what is inside is not trusted either.
TEST_F(EngineCopiesTest, AForgedSnapshotDoesNoHarm) {
  RunStep(0);
  const std::string snapshot = Export();
  int accepted = 0;
  for (std::size_t i = 16; i + 4 < snapshot.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string forged = snapshot.substr(0, snapshot.size() - 4);
      forged[i] = static_cast<char>(forged[i] ^ 1 << bit);
      const std::uint32_t crc = Crc32c(forged);
      for (int shift = 0; shift < 32; shift += 8) forged += static_cast<char>(crc >> shift);
      const auto copy = other_.ImportSession("copy", forged);
      if (!copy.ok()) continue;
      ++accepted;
      for (const LayerView& layer : copy->layers) {
        static_cast<void>(TryBackward(other_, "copy", layer.config->layer_id, 0));
        static_cast<void>(other_.GetParameters("copy", layer.config->layer_id));
      }
      ASSERT_TRUE(other_.DeleteSession("copy").ok());
    }
  }
  EXPECT_GT(accepted, 0);  // Of values that may be anything.
}

// Such as one that drops everything, of a layer whose scale is then 1 / 0.
TEST_F(EngineCopiesTest, ARateThatTheLayerCannotHaveIsRefused) {
  RunStep(0);
  const Snapshot snapshot = DecodeSnapshot(Export()).value();
  const auto with = [&](std::string_view layer_id, const DropRate& rate) {
    Snapshot forged = snapshot;
    for (StoreField& field : forged.contents.fields) {
      const auto name = ParseFieldName(field.name);
      if (!name.has_value() || name->kind != FieldKind::kStep) continue;
      const std::string old = *field.value;
      DecodedStep step = DecodeStep(old).value();
      if (forged.contents.image.layers.find(layer_id)->second->uid == name->uid) step.rate = rate;
      field.value = Reencode(step);
    }
    return other_.ImportSession("copy", EncodeSnapshot(forged)).status();
  };
  const auto rate = [](double p, double q, double logit_p = 0.0) {
    DropRate made(p);
    made.q = q;
    made.logit_p = logit_p;
    return made;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const char* const layer : kLayers) {
    for (const DropRate& wrong :
         {rate(1.0, 0.0), rate(-0.5, 1.5), rate(nan, nan), rate(1.5, -0.5), rate(0.5, nan)}) {
      EXPECT_EQ(ReasonText(with(layer, wrong)), "INVALID_SESSION") << layer << " " << wrong.p;
    }
  }
  EXPECT_EQ(ReasonText(with("plain", rate(0.25, 0.5))), "INVALID_SESSION");
  EXPECT_EQ(ReasonText(with("concrete", rate(0.5, 0.5, nan))), "INVALID_SESSION");
  EXPECT_EQ(ReasonText(with("concrete", rate(0.5, 0.5, 701))), "INVALID_SESSION");
  EXPECT_TRUE(with("concrete", rate(1.0, 1e-300, 690)).ok());  // A learned p may round to 1.
}

TEST_F(EngineCopiesTest, LimitsHoldForCopies) {
  RunStep(0);
  const std::string snapshot = Export();
  Limits few_layers;
  few_layers.max_layers_per_session = 4;
  TestEngine a(few_layers);
  EXPECT_EQ(ReasonText(a.ImportSession("copy", snapshot)), "QUOTA_LAYERS");
  Limits few_sessions;
  few_sessions.max_sessions = 1;
  TestEngine b(few_sessions);
  ASSERT_TRUE(b.ImportSession("copy", snapshot).ok());
  EXPECT_EQ(ReasonText(b.ImportSession("other", snapshot)), "QUOTA_SESSIONS");
  Limits small_parameters;
  small_parameters.max_parameter_bytes = 64;
  TestEngine c(small_parameters);
  // Over a store the parameters here are copies, which are never refused.
  EXPECT_EQ(ReasonText(c.ImportSession("copy", snapshot)),
            c.is_stored() ? "OK" : "QUOTA_PARAMETER_BYTES");
  Limits small_message;
  small_message.max_snapshot_bytes = 100;
  TestEngine d(small_message);
  ASSERT_TRUE(d.ImportSession("copy", snapshot).ok());
  EXPECT_EQ(ReasonText(d.ExportSession("copy")), "QUOTA_MESSAGE_BYTES");
  EXPECT_EQ(ReasonText(d.ForkSession("copy", "fork")), "QUOTA_MESSAGE_BYTES");
  Limits short_lives;
  short_lives.max_ttl = std::chrono::seconds(10);
  TestEngine e(short_lives);
  EXPECT_EQ(e.ImportSession("copy", snapshot)->ttl, Nanoseconds(std::chrono::seconds(10)));
}

TEST_F(EngineCopiesTest, AMaskCacheThatIsFullRefusesACopyAndLosesNothing) {
  if (engine_.is_stored()) GTEST_SKIP() << "a store holds the masks";
  RunStep(0);
  const std::string snapshot = Export();
  Limits small;
  small.mask_cache_bytes = 32;
  TestEngine engine(small);
  EXPECT_EQ(ReasonText(engine.ImportSession("copy", snapshot)), "QUOTA_MASK_CACHE");
  EXPECT_EQ(engine.mask_cache().reserved(), 0u);
  EXPECT_EQ(ReasonText(engine.GetSession("copy")), "SESSION_NOT_FOUND");
}

// Whatever was charged on the way to a refusal is given back.
TEST_F(EngineCopiesTest, WhatIsRefusedCostsNothing) {
  if (engine_.is_stored()) GTEST_SKIP() << "copies are never refused";
  RunStep(0);
  const std::string snapshot = Export();
  Limits limits;
  limits.max_parameter_bytes = 8 + 3 * kFeatures * 4 - 1;  // For either, and not for both.
  limits.max_sessions = 1;
  TestEngine engine(limits);
  const auto expect_nothing = [&](const char* what) {
    const EngineSummary summary = engine.Summary();
    EXPECT_EQ(summary.parameter_bytes, 0u) << what;
    EXPECT_EQ(summary.steps, 0u) << what;
    EXPECT_EQ(engine.mask_cache().bytes(), 0u) << what;
    EXPECT_EQ(engine.mask_cache().reserved(), 0u) << what;
    EXPECT_EQ(engine.input_cache().bytes(), 0u) << what;
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ReasonText(engine.ImportSession("copy", snapshot)), "QUOTA_PARAMETER_BYTES");
    expect_nothing("an import");
  }
  std::vector<LayerConfig> many;
  for (int i = 0; i < 14; ++i) {
    many.push_back(Concrete());
    many.back().layer_id += std::to_string(i);
  }
  EXPECT_EQ(ReasonText(engine.CreateSession(MakeSpec("many", 1, many))), "QUOTA_PARAMETER_BYTES");
  many.resize(2);
  many.push_back(many.back());
  EXPECT_EQ(ReasonText(engine.CreateSession(MakeSpec("many", 1, many))), "LAYER_EXISTS");
  expect_nothing("a session");
  ASSERT_TRUE(engine.CreateSession(MakeSpec("s", 1, {Linear(), Concrete()})).ok());
  EXPECT_EQ(ReasonText(engine.SetParameters("s", "linear", {Weight(1.0f)})),
            "QUOTA_PARAMETER_BYTES");
  EXPECT_EQ(ReasonText(engine.ForkSession("s", "fork")), "QUOTA_SESSIONS");
  EXPECT_EQ(ReasonText(engine.CreateSession(MakeSpec("other", 1, {Concrete()}))), "QUOTA_SESSIONS");
  EXPECT_EQ(engine.Summary().parameter_bytes, 8u);
  ASSERT_TRUE(engine.DeleteSession("s").ok());
  expect_nothing("a session that is gone");
}

// Over a store what is too much here is forgotten instead, and goes with its session.
TEST_F(EngineCopiesTest, OverAStoreACopyIsNotRefusedForWhatThisServerHolds) {
  if (!engine_.is_stored()) GTEST_SKIP() << "what is here is all there is";
  RunStep(0);
  const std::string snapshot = Export();
  Limits limits;
  limits.max_parameter_bytes = 1;
  limits.max_steps = 1;
  limits.mask_cache_bytes = 1;
  limits.input_cache_bytes = std::size_t{1} << 10;
  TestEngine engine(limits);
  ASSERT_EQ(ReasonText(engine.ImportSession("copy", snapshot)), "OK");
  ExpectSameGradients(engine, "copy", 1);
  ASSERT_TRUE(engine.DeleteSession("copy").ok());
  const EngineSummary summary = engine.Summary();
  EXPECT_EQ(summary.parameter_bytes, 0u);
  EXPECT_EQ(summary.steps, 0u);
  EXPECT_EQ(engine.input_cache().bytes(), 0u);
}

// A layer that learns p needs no more than p to begin with.
TEST_F(EngineCopiesTest, ALayerThatLearnsPFromTheEndsOfItsRangeIsCopied) {
  for (const double p : {0.0, 5e-324, 1e-310, 1 - 0x1p-53}) {
    LayerConfig config = Concrete();
    config.p = p;
    ASSERT_TRUE(engine_.CreateSession(MakeSpec("ends", 1, {config})).ok());
    Forward(engine_, "ends", "concrete", 0);
    const auto snapshot = engine_.ExportSession("ends");
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    const auto copy = other_.ImportSession("ends", *snapshot);
    ASSERT_TRUE(copy.ok()) << p << ": " << copy.status();
    EXPECT_EQ(Backward(engine_, "ends", "concrete", 0), Backward(other_, "ends", "concrete", 0));
    EXPECT_EQ(Forward(engine_, "ends", "concrete", 1), Forward(other_, "ends", "concrete", 1));
    ASSERT_TRUE(engine_.DeleteSession("ends").ok());
    ASSERT_TRUE(other_.DeleteSession("ends").ok());
  }
}

// What a layer cannot do without, taken away under a right checksum.
TEST_F(EngineCopiesTest, ASnapshotThatLacksSomethingIsRefused) {
  RunStep(0);
  const Snapshot snapshot = DecodeSnapshot(Export()).value();
  const auto reason = [&](const Snapshot& forged) {
    return ReasonText(other_.ImportSession("copy", EncodeSnapshot(forged)));
  };
  ASSERT_EQ(reason(snapshot), "OK");
  ASSERT_TRUE(other_.DeleteSession("copy").ok());
  for (const auto& [id, whole] : snapshot.contents.image.layers) {
    const auto with = [&, layer_id = id](auto change) {
      return reason(WithLayers(snapshot, [&](LayerImage& layer) {
        if (layer.config->layer_id == layer_id) change(layer);
      }));
    };
    const bool has_parameters = static_cast<bool>(whole->parameters_id);
    // A linear layer may have none yet.
    if (id != "linear") {
      EXPECT_EQ(with([&](LayerImage& layer) {
                  layer.parameters_id = has_parameters ? ParametersId() : ParametersId{1, 1};
                }),
                "INVALID_SESSION")
          << id;
    }
    EXPECT_EQ(with([](LayerImage& layer) { layer.revision = 0; }), "INVALID_SESSION") << id;
    EXPECT_EQ(with([](LayerImage& layer) { layer.uid = 0; }), "INVALID_SESSION") << id;
  }
  for (std::size_t i = 0; i < snapshot.contents.fields.size(); ++i) {
    const auto name = ParseFieldName(snapshot.contents.fields[i].name);
    if (!name.has_value()) continue;
    Snapshot forged = snapshot;
    std::string& value = *forged.contents.fields[i].value;
    if (name->kind == FieldKind::kParameters) {
      value = EncodeParameters({});
      EXPECT_EQ(reason(forged), "INVALID_SESSION") << "no parameters";
      Parameters other;
      other.Set(MakeScalar("logit", 0.0));
      value = EncodeParameters(other);
      EXPECT_EQ(reason(forged), "INVALID_SESSION") << "parameters of another";
      continue;
    }
    if (name->kind != FieldKind::kStep) continue;
    const std::string whole = value;
    const DecodedStep step = DecodeStep(whole).value();
    for (const Shape& shape : {Shape(), MakeShape({kSamples}), MakeShape({kSamples, 1}),
                               MakeShape({std::int64_t{1} << 61})}) {
      if (!step.input.has_value() && !step.bit_count.has_value()) continue;
      DecodedStep other = step;
      other.shape = shape;
      value = Reencode(other);
      EXPECT_EQ(reason(forged), "INVALID_SESSION") << shape.ToString();
    }
    if (!step.input.has_value()) continue;
    DecodedStep other = step;
    other.parameters_id = {};
    value = Reencode(other);
    EXPECT_EQ(reason(forged), "INVALID_SESSION") << "an input of no parameters";
    other = step;
    other.input = std::nullopt;
    value = Reencode(other);
    EXPECT_EQ(reason(forged), "INVALID_SESSION") << "no input";
  }
  EXPECT_EQ(other_.Summary().parameter_bytes, 0u);
}

}  // namespace
}  // namespace dropoutd
