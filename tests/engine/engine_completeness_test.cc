// A session whose layer lacks one thing that it needs is refused where it enters: by an import, at
// the first read from a store, and where a copy of it is brought up to date.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/engine.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/snapshot_file.h"
#include "server/store/memory_store.h"
#include "tests/engine/support.h"

namespace dropoutd {
namespace {

constexpr char kGood[] = "good";
constexpr char kBad[] = "bad";
constexpr std::int64_t kIn = 3;
constexpr std::int64_t kOut = 2;

// What is taken from the session, or is wrong about it.
struct Lack {
  std::string name;
  std::function<void(SessionContents&)> make;
};

std::string NameOf(const testing::TestParamInfo<Lack>& info) { return info.param.name; }

Parameter Tensor(std::string name, std::initializer_list<std::int64_t> sizes) {
  Parameter parameter{std::move(name), DataType::kFloat32, MakeShape(sizes), {}};
  parameter.data.resize(static_cast<std::size_t>(parameter.shape.ElementCount()) * sizeof(float));
  return parameter;
}

template <typename Edit>
Lack OfLayer(std::string name, std::string layer_id, Edit edit) {
  return {std::move(name), [=](SessionContents& contents) {
            SharedLayer& layer = contents.image.layers.at(layer_id);
            auto changed = std::make_shared<LayerImage>(*layer);
            edit(*changed);
            layer = std::move(changed);
          }};
}

template <typename Edit>
Lack OfConfig(std::string name, std::string layer_id, Edit edit) {
  return OfLayer(std::move(name), std::move(layer_id), [=](LayerImage& layer) {
    LayerConfig config = *layer.config;
    edit(config);
    layer.created = layer.config = std::make_shared<const LayerConfig>(config);
  });
}

// Others in the place of a layer's parameters; none: their field is gone.
Lack OfParameters(std::string name, std::string layer_id, std::vector<Parameter> others) {
  return {std::move(name), [=](SessionContents& contents) {
            const LayerImage& layer = *contents.image.layers.at(layer_id);
            const std::string field = ParametersField(layer.uid, layer.parameters_id);
            Parameters parameters;
            for (const Parameter& each : others) parameters.Set(each);
            std::erase_if(contents.fields, [&](StoreField& each) {
              if (each.name == field) each.value = EncodeParameters(parameters);
              return each.name == field && others.empty();
            });
          }};
}

std::vector<Lack> AllLacks() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  return {
      OfLayer("uid", "plain", [](LayerImage& layer) { layer.uid = 0; }),
      OfLayer("revision", "plain", [](LayerImage& layer) { layer.revision = 0; }),
      OfLayer("learned_p", "concrete", [](LayerImage& layer) { layer.parameters_id = {}; }),
      OfLayer("no_use_for_parameters", "plain",
              [](LayerImage& layer) {
                layer.parameters_id = {1, 1};
              }),
      OfConfig("a_valid_p", "plain", [](LayerConfig& config) { config.p = 1.5; }),
      OfConfig("features", "linear",
               [](LayerConfig& config) {
                 std::get<DropConnectOptions>(config.options).in_features = 0;
               }),
      OfConfig("parameters_of_its_sizes", "linear",
               [](LayerConfig& config) {
                 std::get<DropConnectOptions>(config.options).out_features = kOut + 1;
               }),
      OfConfig("parameters_of_its_kind", "linear",
               [](LayerConfig& config) { config.options = ConcreteOptions(); }),
      OfConfig("a_seed_for_its_generator", "plain",
               [](LayerConfig& config) { config.generator = Generator::kNumpyLegacy; }),
      OfParameters("logit_p", "concrete", {Tensor("weight", {kOut, kIn})}),
      OfParameters("a_finite_logit_p", "concrete", {MakeScalar(kLogitP, nan)}),
      OfParameters("one_logit_p", "concrete", {Tensor("logit_p", {2})}),
      OfParameters("the_field_of_concrete", "concrete", {}),
      OfParameters("the_field_of_linear", "linear", {}),
      OfParameters("a_weight_of_its_sizes", "linear", {Tensor("weight", {kIn, kOut})}),
      OfParameters("known_parameters", "linear", {Tensor("other", {1})}),
  };
}

class EngineCompletenessTest : public testing::TestWithParam<Lack> {
 protected:
  EngineCompletenessTest() {
    std::vector<LayerConfig> layers = {MakeLayer("plain", 0.5), MakeLayer("concrete", 0.5),
                                       MakeLayer("linear", 0.5)};
    layers[1].options = ConcreteOptions();
    DropConnectOptions linear;
    linear.in_features = kIn;
    linear.out_features = kOut;
    layers[2].options = linear;
    // Larger than a sequential generator takes.
    EXPECT_EQ(ReasonText(maker_.CreateSession(MakeSpec(kGood, std::uint64_t{1} << 40, layers))),
              "OK");
    EXPECT_EQ(ReasonText(maker_.SetParameters(
                  kGood, "linear", {Tensor("weight", {kOut, kIn}), Tensor("bias", {kOut})})),
              "OK");
    whole_ = DecodeSnapshot(maker_.ExportSession(kGood).value()).value();
  }

  // The whole session, with other parts and fields if `lack` is given.
  StoreChange Change(const Lack* lack) const {
    SessionContents contents = whole_.contents;
    if (lack != nullptr) lack->make(contents);
    StoreChange change;
    change.token = Token::Random();
    change.incarnation = incarnation_;
    change.parts = EncodeSession(contents.image);
    for (const StoreField& each : contents.fields) {
      change.writes.push_back({each.name, each.value, {}});
    }
    change.ttl = std::chrono::hours(1);
    return change;
  }

  void Make(const Lack* lack) {
    StoreChange change = Change(lack);
    change.makes = SessionLimit{"", 100, 100};
    ASSERT_EQ(store_.Commit(kBad, std::move(change))->outcome, StoreOutcome::kDone);
  }

  Engine maker_{Limits()};
  MemoryStore store_{std::chrono::steady_clock::now, /*is_shared=*/true};
  Engine server_{Limits(), Clock::System(), &store_};
  const Token incarnation_ = Token::Random();
  Snapshot whole_;
};

TEST_P(EngineCompletenessTest, AnImportIsRefused) {
  EXPECT_EQ(ReasonText(maker_.ImportSession(kBad, EncodeSnapshot(whole_))), "OK");
  ASSERT_EQ(ReasonText(maker_.DeleteSession(kBad)), "OK");
  Snapshot snapshot = whole_;
  GetParam().make(snapshot.contents);
  EXPECT_EQ(ReasonText(maker_.ImportSession(kBad, EncodeSnapshot(snapshot))), "INVALID_SESSION");
}

TEST_P(EngineCompletenessTest, TheFirstReadFromAStoreIsRefused) {
  Make(&GetParam());
  EXPECT_EQ(ReasonText(server_.GetSession(kBad)), "STORE_CORRUPT");
}

// Another server has written it.
TEST_P(EngineCompletenessTest, TheNextReadFromAStoreIsRefused) {
  Make(nullptr);
  ASSERT_EQ(ReasonText(server_.GetSession(kBad)), "OK");
  StoreChange change = Change(&GetParam());
  // What was the parameters' field stays as it was: the record of the layer alone is another.
  change.writes.clear();
  const StoreChange whole = Change(nullptr);
  bool is_other = change.parts.size() != whole.parts.size();
  for (std::size_t i = 0; !is_other && i < change.parts.size(); ++i) {
    is_other = change.parts[i].value != whole.parts[i].value;
  }
  if (!is_other) return;  // The parameters of an id never change.
  ASSERT_EQ(store_.Commit(kBad, std::move(change))->outcome, StoreOutcome::kDone);
  EXPECT_EQ(ReasonText(server_.GetSession(kBad)), "STORE_CORRUPT");
}

INSTANTIATE_TEST_SUITE_P(Lacks, EngineCompletenessTest, testing::ValuesIn(AllLacks()), NameOf);

}  // namespace
}  // namespace dropoutd
