// What calls make of a session: always another image, and never a change of the one there is.
#include "server/session/session_changes.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/dropout/sequential_noise.h"
#include "server/session/session_view.h"
#include "tests/session/session_examples.h"

namespace dropoutd {
namespace {

using Ids = std::vector<std::string>;

constexpr Nanoseconds kTtl = std::chrono::minutes(10);
constexpr WallTime kNow{std::chrono::hours(100)};
constexpr std::size_t kMaxLayers = 4;

Limits SmallParameters(std::size_t bytes) {
  Limits limits;
  limits.max_parameter_bytes = bytes;
  return limits;
}

class SessionChangesTest : public testing::Test {
 protected:
  absl::StatusOr<SharedImage> Make(const SessionSpec& spec) {
    return NewSession(spec, kTtl, kNow, rules_);
  }

  // With layers a, b and c, in no order.
  SharedImage MakeAbc() {
    return Make(MakeSpec("s", 1, {MakeLayer("b", 0.5), MakeLayer("c", 0.5), MakeLayer("a", 0.5)}))
        .value();
  }

  static const LayerImage& LayerOf(const SharedImage& image, const std::string& layer_id) {
    return *image->layers.at(layer_id);
  }

  std::size_t parameter_bytes() const { return budgets_.parameters().held(); }

  Budgets budgets_{SmallParameters(40)};
  const TenantBudgetRef tenant_ = budgets_.Open("");
  const ChangeRules rules_{budgets_, *tenant_, kMaxLayers};
};

// --- Making -------------------------------------------------------------------------------------

TEST_F(SessionChangesTest, ASessionIsMadeFromItsSpec) {
  SessionSpec spec = MakeSpec("s", 42, {MakeLayer("b", 0.5), MakeLayer("a", 0.25)});
  spec.mode = Mode::kEval;
  spec.ttl = std::chrono::seconds(30);
  const SharedImage image = Make(spec).value();
  EXPECT_TRUE(image->incarnation);
  EXPECT_FALSE(image->origin);
  const SessionView view = ViewOf("s", *image, kNow + kTtl);
  EXPECT_EQ(view.session_id, "s");
  EXPECT_EQ(view.seed, 42u);
  EXPECT_EQ(view.mode, Mode::kEval);
  EXPECT_EQ(view.ttl, std::chrono::seconds(30));
  EXPECT_EQ(view.create_time, kNow);
  EXPECT_EQ(view.expire_time, kNow + kTtl);
  ASSERT_EQ(view.layers.size(), 2u);
  EXPECT_EQ(view.layers[0].config->layer_id, "a");
  EXPECT_EQ(view.layers[0].config->p, 0.25);
  EXPECT_EQ(view.layers[1].config->layer_id, "b");
  EXPECT_EQ(view.layers[1].mode, Mode::kEval);
  EXPECT_EQ(view.layers[1].revision, 1u);
}

TEST_F(SessionChangesTest, WithoutATtlItHasTheServers) {
  EXPECT_EQ(Make(MakeSpec("s", 1, {})).value()->ttl, kTtl);
}

TEST_F(SessionChangesTest, NoTwoSessionsOrLayersAreTakenForEachOther) {
  const SharedImage a = MakeAbc();
  const SharedImage b = MakeAbc();
  EXPECT_NE(a->incarnation, b->incarnation);
  std::set<std::uint64_t> uids;
  for (const SharedImage& image : {a, b}) {
    for (const auto& [id, layer] : image->layers) uids.insert(layer->uid);
  }
  EXPECT_EQ(uids.size(), 6u);
}

TEST_F(SessionChangesTest, RefusesLayersThatMakeNoSense) {
  EXPECT_EQ(ReasonText(Make(MakeSpec("s", 1, {MakeLayer("a", 1.0)}))), "INVALID_LAYER");
  EXPECT_EQ(ReasonText(Make(MakeSpec("s", 1, {MakeLayer("", 0.5)}))), "INVALID_LAYER");
  EXPECT_EQ(ReasonText(Make(MakeSpec("s", 1, {MakeLayer("a", 0.5), MakeLayer("a", 0.5)}))),
            "LAYER_EXISTS");
}

TEST_F(SessionChangesTest, RefusesMoreLayersThanAllowed) {
  SessionSpec spec = MakeSpec("s", 1, {});
  for (const char* const id : {"a", "b", "c", "d"}) spec.layers.push_back(MakeLayer(id, 0.5));
  EXPECT_TRUE(Make(spec).ok());
  spec.layers.push_back(MakeLayer("e", 0.5));
  EXPECT_EQ(ReasonText(Make(spec)), "QUOTA_LAYERS");
}

TEST_F(SessionChangesTest, DrawsDifferentSeeds) {
  std::set<std::uint64_t> seeds;
  for (int i = 0; i < 64; ++i) seeds.insert(Make({}).value()->seed);
  EXPECT_EQ(seeds.size(), 64u);
  EXPECT_GT(*seeds.rbegin(), SequentialNoise::kMaxSeed);
}

TEST_F(SessionChangesTest, DrawsASeedThatNumpyLegacyCanUse) {
  for (int i = 0; i < 64; ++i) {
    SessionSpec spec;
    spec.layers = {MakeLayer("a", 0.5), MakeLayer("n", 0.5, Generator::kNumpyLegacy)};
    const auto image = Make(spec);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_LE((*image)->seed, SequentialNoise::kMaxSeed);
  }
}

TEST_F(SessionChangesTest, NumpyLegacyRefusesSeedsPastItsRange) {
  const LayerConfig numpy = MakeLayer("n", 0.5, Generator::kNumpyLegacy);
  const std::uint64_t last = SequentialNoise::kMaxSeed;
  EXPECT_TRUE(Make(MakeSpec("s", last, {numpy})).ok());
  EXPECT_EQ(ReasonText(Make(MakeSpec("s", last + 1, {numpy}))), "INVALID_LAYER");
  const SharedImage image = Make(MakeSpec("s", last + 1, {MakeLayer("n", 0.5)})).value();
  EXPECT_EQ(ReasonText(WithUpdate(image, numpy, rules_)), "INVALID_LAYER");
  const LayerConfig other = MakeLayer("m", 0.5, Generator::kNumpyLegacy);
  EXPECT_EQ(ReasonText(WithLayer(image, other, rules_)), "INVALID_LAYER");
}

TEST_F(SessionChangesTest, ASessionKnowsTheSpecItWasMadeFrom) {
  SessionSpec spec = MakeSpec("s", 1, {MakeLayer("a", 0.5), MakeLayer("b", 0.5)});
  spec.ttl = std::chrono::seconds(5);
  SharedImage image = Make(spec).value();
  // Whatever happened to it since.
  Ids set;
  image = WithMode(image, Mode::kEval, {}, set).value();
  image = WithUpdate(image, MakeLayer("a", 0.75), rules_).value();
  image = WithoutLayer(image, "b").value();
  EXPECT_TRUE(IsMadeFrom(*image, spec));

  const auto differs = [&](auto change) {
    SessionSpec other = spec;
    change(other);
    return !IsMadeFrom(*image, other);
  };
  EXPECT_TRUE(differs([](SessionSpec& other) { other.seed = 2; }));
  EXPECT_TRUE(differs([](SessionSpec& other) { other.seed = std::nullopt; }));
  EXPECT_TRUE(differs([](SessionSpec& other) { other.mode = Mode::kEval; }));
  EXPECT_TRUE(differs([](SessionSpec& other) { other.ttl = std::nullopt; }));
  EXPECT_TRUE(differs([](SessionSpec& other) { other.ttl = std::chrono::seconds(6); }));
  EXPECT_TRUE(differs([](SessionSpec& other) { other.layers.pop_back(); }));
  EXPECT_TRUE(differs([](SessionSpec& other) { other.layers[0].p = 0.75; }));
  EXPECT_TRUE(differs([](SessionSpec& other) { other.layers[0].mode = Mode::kTrain; }));
  EXPECT_TRUE(differs([](SessionSpec& other) { other.layers.push_back(MakeLayer("c", 0.1)); }));
}

TEST_F(SessionChangesTest, ADrawnSeedIsNotPartOfTheSpec) {
  SessionSpec spec;
  const SharedImage image = Make(spec).value();
  EXPECT_TRUE(IsMadeFrom(*image, spec));
  spec.seed = image->seed;
  EXPECT_FALSE(IsMadeFrom(*image, spec));
}

// --- No change of what there is -----------------------------------------------------------------

TEST_F(SessionChangesTest, TheImageThatIsGivenNeverChanges) {
  const SharedImage image =
      Make(MakeSpec("s", 1, {MakeLayer("a", 0.5), MakeConcrete("p", 0.25), MakeLinear("w")}))
          .value();
  const SessionImage before = *image;
  Ids set;
  const std::vector<SharedImage> changed = {
      WithLayer(image, MakeLayer("d", 0.5), rules_).value(),
      WithUpdate(image, MakeLayer("a", 0.75), rules_).value(),
      WithUpdate(image, MakeConcrete("p", 0.5), rules_).value(),
      WithoutLayer(image, "a").value(),
      WithMode(image, Mode::kEval, {}, set).value(),
      WithParameters(image, "w", {MakeWeight()}, rules_).value(),
  };
  for (const SharedImage& each : changed) EXPECT_NE(each, image);
  EXPECT_EQ(image->mode, before.mode);
  EXPECT_EQ(image->layers, before.layers);  // The very same layers.
  EXPECT_EQ(image->created_layers, before.created_layers);
  // What a change does not touch is shared.
  EXPECT_EQ(changed[1]->layers.at("p"), image->layers.at("p"));
  EXPECT_EQ(changed[1]->incarnation, image->incarnation);
  EXPECT_EQ(changed[1]->layers.at("a")->uid, image->layers.at("a")->uid);
}

TEST_F(SessionChangesTest, WhereThereIsNothingToChangeTheImageIsTheSame) {
  const SharedImage image = MakeAbc();
  Ids set;
  EXPECT_EQ(WithLayer(image, MakeLayer("a", 0.5), rules_).value(), image);
  EXPECT_EQ(WithUpdate(image, MakeLayer("a", 0.5), rules_).value(), image);
  EXPECT_EQ(WithMode(image, Mode::kTrain, {}, set).value(), image);
  EXPECT_EQ(WithMode(image, Mode::kTrain, {"b"}, set).value(), image);
}

// --- Layers -------------------------------------------------------------------------------------

TEST_F(SessionChangesTest, CreatingALayerAgainFindsTheOneThatExists) {
  const SharedImage image = WithUpdate(MakeAbc(), MakeLayer("a", 0.25), rules_).value();
  EXPECT_EQ(WithLayer(image, MakeLayer("a", 0.5), rules_).value(), image);
  EXPECT_EQ(ReasonText(WithLayer(image, MakeLayer("a", 0.125), rules_)), "LAYER_EXISTS");
  LayerConfig other = MakeLayer("a", 0.5);
  other.scaling = Scaling::kNone;
  EXPECT_EQ(ReasonText(WithLayer(image, other, rules_)), "LAYER_EXISTS");
}

TEST_F(SessionChangesTest, TheLayerLimitHoldsForNewLayersOnly) {
  SharedImage image = WithLayer(MakeAbc(), MakeLayer("d", 0.5), rules_).value();
  EXPECT_EQ(ReasonText(WithLayer(image, MakeLayer("e", 0.5), rules_)), "QUOTA_LAYERS");
  EXPECT_TRUE(WithLayer(image, MakeLayer("d", 0.5), rules_).ok());
  EXPECT_TRUE(WithUpdate(image, MakeLayer("d", 0.25), rules_).ok());
  image = WithoutLayer(image, "a").value();
  EXPECT_TRUE(WithLayer(image, MakeLayer("e", 0.5), rules_).ok());
}

TEST_F(SessionChangesTest, AnUpdateThatChangesSomethingIsANewRevision) {
  SharedImage image = WithUpdate(MakeAbc(), MakeLayer("a", 0.25), rules_).value();
  EXPECT_EQ(LayerOf(image, "a").revision, 2u);
  image = WithUpdate(image, MakeLayer("a", 0.25), rules_).value();
  EXPECT_EQ(LayerOf(image, "a").revision, 2u);
  image = WithUpdate(image, MakeLayer("a", 0.5), rules_).value();
  EXPECT_EQ(LayerOf(image, "a").revision, 3u);
  EXPECT_EQ(LayerOf(image, "b").revision, 1u);
}

TEST_F(SessionChangesTest, UpdatesThatMakeNoSenseAreRefused) {
  const SharedImage image = MakeAbc();
  EXPECT_EQ(ReasonText(WithUpdate(image, MakeLayer("a", -0.5), rules_)), "INVALID_LAYER");
  EXPECT_EQ(ReasonText(WithUpdate(image, MakeLayer("x", 0.5), rules_)), "LAYER_NOT_FOUND");
}

TEST_F(SessionChangesTest, AnUpdateSetsTheMode) {
  LayerConfig config = MakeLayer("a", 0.5);
  config.mode = Mode::kEval;
  SharedImage image = WithUpdate(MakeAbc(), config, rules_).value();
  EXPECT_EQ(LayerOf(image, "a").mode, Mode::kEval);
  // Without one of its own it has the session's again.
  image = WithUpdate(image, MakeLayer("a", 0.5), rules_).value();
  EXPECT_EQ(LayerOf(image, "a").mode, Mode::kTrain);
}

TEST_F(SessionChangesTest, ADeletedLayersNameIsFree) {
  SharedImage image = WithUpdate(MakeAbc(), MakeLayer("a", 0.25), rules_).value();
  const std::uint64_t uid = LayerOf(image, "a").uid;
  image = WithoutLayer(image, "a").value();
  EXPECT_EQ(ReasonText(WithoutLayer(image, "a")), "LAYER_NOT_FOUND");
  EXPECT_EQ(ReasonText(FindLayer(*image, "a")), "LAYER_NOT_FOUND");
  image = WithLayer(image, MakeLayer("a", 0.75), rules_).value();
  EXPECT_EQ(LayerOf(image, "a").revision, 1u);
  EXPECT_NE(LayerOf(image, "a").uid, uid);
}

// --- Modes --------------------------------------------------------------------------------------

TEST_F(SessionChangesTest, AModeForAllIsForLaterLayersToo) {
  Ids set;
  const SharedImage image = WithMode(MakeAbc(), Mode::kEval, {}, set).value();
  EXPECT_EQ(set, (Ids{"a", "b", "c"}));
  EXPECT_EQ(image->mode, Mode::kEval);
  for (const char* const id : {"a", "b", "c"}) {
    EXPECT_EQ(LayerOf(image, id).mode, Mode::kEval);
    EXPECT_EQ(LayerOf(image, id).revision, 1u);
  }
  EXPECT_EQ(LayerOf(WithLayer(image, MakeLayer("d", 0.5), rules_).value(), "d").mode, Mode::kEval);
}

TEST_F(SessionChangesTest, AModeForSomeLeavesTheOthers) {
  Ids set;
  const SharedImage image = WithMode(MakeAbc(), Mode::kEval, {"c", "a", "c"}, set).value();
  EXPECT_EQ(set, (Ids{"a", "c"}));
  EXPECT_EQ(image->mode, Mode::kTrain);
  EXPECT_EQ(LayerOf(image, "a").mode, Mode::kEval);
  EXPECT_EQ(LayerOf(image, "b").mode, Mode::kTrain);
  EXPECT_EQ(LayerOf(image, "c").mode, Mode::kEval);
  EXPECT_EQ(LayerOf(WithLayer(image, MakeLayer("d", 0.5), rules_).value(), "d").mode, Mode::kTrain);
  EXPECT_EQ(ReasonText(WithMode(image, Mode::kEval, {"a", "x", "b"}, set)), "LAYER_NOT_FOUND");
}

TEST_F(SessionChangesTest, ALayersOwnModeBeatsTheSessions) {
  LayerConfig own = MakeLayer("own", 0.5);
  own.mode = Mode::kEval;
  SharedImage image = Make(MakeSpec("s", 1, {own, MakeLayer("other", 0.5)})).value();
  EXPECT_EQ(LayerOf(image, "own").mode, Mode::kEval);
  EXPECT_EQ(LayerOf(image, "other").mode, Mode::kTrain);
  // A mode for all means all.
  Ids set;
  image = WithMode(image, Mode::kTrain, {}, set).value();
  EXPECT_EQ(LayerOf(image, "own").mode, Mode::kTrain);
}

// --- Parameters ---------------------------------------------------------------------------------

TEST_F(SessionChangesTest, ParametersHaveANewNameWithEachChange) {
  const SharedImage image = Make(MakeSpec("s", 1, {MakeLinear("w")})).value();
  EXPECT_FALSE(LayerOf(image, "w").parameters_id);
  EXPECT_EQ(LayerOf(image, "w").parameters, nullptr);
  const SharedImage a = WithParameters(image, "w", {MakeWeight()}, rules_).value();
  const SharedImage b = WithParameters(image, "w", {MakeWeight()}, rules_).value();
  EXPECT_EQ(LayerOf(a, "w").parameters_id.number, 1u);
  EXPECT_EQ(LayerOf(b, "w").parameters_id.number, 1u);
  // Two servers that count alike are told apart.
  EXPECT_NE(LayerOf(a, "w").parameters_id, LayerOf(b, "w").parameters_id);
  const SharedImage c = WithParameters(a, "w", {MakeWeight()}, rules_).value();
  EXPECT_EQ(LayerOf(c, "w").parameters_id.number, 2u);
}

TEST_F(SessionChangesTest, ParametersThatDoNotFitAreRefusedAllTogether) {
  const SharedImage image = Make(MakeSpec("s", 1, {MakeLinear("w"), MakeLayer("a", 0.5)})).value();
  Parameter wrong = MakeWeight();
  wrong.shape = *Shape::Make(std::vector<std::int64_t>{4});
  const std::vector<std::vector<Parameter>> all = {{wrong}, {MakeWeight(), wrong}};
  for (const std::vector<Parameter>& each : all) {
    EXPECT_FALSE(WithParameters(image, "w", each, rules_).ok());
  }
  EXPECT_FALSE(WithParameters(image, "a", {MakeWeight()}, rules_).ok());
  EXPECT_EQ(ReasonText(WithParameters(image, "x", {}, rules_)), "LAYER_NOT_FOUND");
  EXPECT_EQ(parameter_bytes(), 0u);
}

TEST_F(SessionChangesTest, AnUpdateKeepsParametersThatMeanTheSame) {
  const SharedImage image = Make(MakeSpec("s", 1, {MakeConcrete("p", 0.25)})).value();
  LayerConfig same = MakeConcrete("p", 0.25);
  same.options = ConcreteOptions{.temperature = 0.2};
  SharedImage next = WithUpdate(image, same, rules_).value();
  EXPECT_EQ(LayerOf(next, "p").parameters, LayerOf(image, "p").parameters);
  EXPECT_EQ(LayerOf(next, "p").parameters_id, LayerOf(image, "p").parameters_id);
  next = WithUpdate(image, MakeConcrete("p", 0.5), rules_).value();
  EXPECT_NE(LayerOf(next, "p").parameters_id, LayerOf(image, "p").parameters_id);
  // Of a layer that has none any more.
  next = WithUpdate(image, MakeLayer("p", 0.25), rules_).value();
  EXPECT_FALSE(LayerOf(next, "p").parameters_id);
  EXPECT_EQ(LayerOf(next, "p").parameters, nullptr);
}

TEST_F(SessionChangesTest, ChargesGoWithTheLastImageThatHasTheParameters) {
  SharedImage image = Make(MakeSpec("s", 1, {MakeConcrete("p", 0.25), MakeLinear("w")})).value();
  EXPECT_EQ(parameter_bytes(), 8u);
  SharedImage next = WithParameters(image, "w", {MakeWeight()}, rules_).value();
  EXPECT_EQ(parameter_bytes(), 24u);
  // A change that was not made leaves nothing behind.
  next.reset();
  EXPECT_EQ(parameter_bytes(), 8u);
  next = WithoutLayer(image, "p").value();
  EXPECT_EQ(parameter_bytes(), 8u);
  image = next;
  EXPECT_EQ(parameter_bytes(), 0u);
}

TEST_F(SessionChangesTest, WhatIsRefusedCostsNothing) {
  std::vector<LayerConfig> layers;
  for (const char* const id : {"a", "b", "c", "c"}) layers.push_back(MakeConcrete(id, 0.25));
  EXPECT_EQ(ReasonText(Make(MakeSpec("s", 1, layers))), "LAYER_EXISTS");
  EXPECT_EQ(parameter_bytes(), 0u);
  layers.back().layer_id = "d";
  const SharedImage image = Make(MakeSpec("s", 1, layers)).value();
  EXPECT_EQ(parameter_bytes(), 32u);
  EXPECT_EQ(ReasonText(Make(MakeSpec("t", 1, layers))), "QUOTA_PARAMETER_BYTES");
  EXPECT_EQ(parameter_bytes(), 32u);
}

// Copies of what a store has are not refused for what this server may hold.
TEST(SessionChangesOverAStoreTest, ParametersAreNeverRefused) {
  Budgets budgets(SmallParameters(1), Holding::kCopies);
  const TenantBudgetRef tenant = budgets.Open("");
  const ChangeRules rules{budgets, *tenant, kMaxLayers};
  const auto image = NewSession(MakeSpec("s", 1, {MakeConcrete("p", 0.5)}), kTtl, kNow, rules);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(budgets.parameters().held(), 8u);
  EXPECT_TRUE(budgets.over_budget());
}

}  // namespace
}  // namespace dropoutd
