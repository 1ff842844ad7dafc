#include "server/session/session.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "server/random/numpy_legacy.h"
#include "tests/session/manual_clock.h"
#include "tests/session/support.h"

namespace dropoutd {
namespace {

using Ids = std::vector<std::string>;
constexpr auto kTtl = std::chrono::minutes(10);
constexpr std::size_t kMaxLayers = 4;

class SessionTest : public testing::Test {
 protected:
  absl::StatusOr<std::shared_ptr<Session>> Make(const SessionSpec& spec) {
    return Session::Make(spec, kTtl, kMaxLayers, budget_, clock_);
  }

  // A session with layers a, b and c, in no order.
  std::shared_ptr<Session> MakeAbc() {
    return Make(MakeSpec("s", 1, {MakeLayer("b", 0.5), MakeLayer("c", 0.5), MakeLayer("a", 0.5)}))
        .value();
  }

  static LayerView LayerOf(const Session& session, std::string_view layer_id) {
    for (const LayerView& layer : session.View().layers) {
      if (layer.config->layer_id == layer_id) return layer;
    }
    ADD_FAILURE() << "no layer " << layer_id;
    return {};
  }

  ManualClock clock_;
  MaskCache cache_{100'000};
  StepBudget budget_{cache_, 1000, 1000};
};

TEST_F(SessionTest, ShowsWhatItWasMadeFrom) {
  SessionSpec spec = MakeSpec("s", 42, {MakeLayer("b", 0.5), MakeLayer("a", 0.25)});
  spec.mode = Mode::kEval;
  spec.ttl = std::chrono::seconds(30);
  const SessionView view = Make(spec).value()->View();
  EXPECT_EQ(view.session_id, "s");
  EXPECT_EQ(view.seed, 42u);
  EXPECT_EQ(view.mode, Mode::kEval);
  EXPECT_EQ(view.ttl, std::chrono::seconds(30));
  EXPECT_EQ(view.create_time, clock_.WallNow());
  EXPECT_EQ(view.expire_time, clock_.WallNow() + std::chrono::seconds(30));
  ASSERT_EQ(view.layers.size(), 2u);
  EXPECT_EQ(view.layers[0].config->layer_id, "a");
  EXPECT_EQ(view.layers[0].config->p, 0.25);
  EXPECT_EQ(view.layers[1].config->layer_id, "b");
  EXPECT_EQ(view.layers[1].mode, Mode::kEval);
  EXPECT_EQ(view.layers[1].revision, 1u);
}

TEST_F(SessionTest, ExpiryMovesWithRenewal) {
  const auto session = MakeAbc();
  const SteadyTime made = clock_.Now();
  EXPECT_EQ(session->expire_time(), made + kTtl);
  clock_.Advance(std::chrono::minutes(3));
  EXPECT_EQ(session->View().expire_time, clock_.WallNow() + std::chrono::minutes(7));
  session->Renew(clock_.Now());
  EXPECT_EQ(session->expire_time(), made + std::chrono::minutes(13));
  EXPECT_EQ(session->View().expire_time, clock_.WallNow() + kTtl);
  EXPECT_EQ(session->View().create_time, clock_.WallNow() - std::chrono::minutes(3));
}

// --- Making -------------------------------------------------------------------------------

TEST_F(SessionTest, RefusesLayersThatMakeNoSense) {
  EXPECT_EQ(ReasonText(Make(MakeSpec("s", 1, {MakeLayer("a", 1.0)}))), "INVALID_LAYER");
  EXPECT_EQ(ReasonText(Make(MakeSpec("s", 1, {MakeLayer("", 0.5)}))), "INVALID_LAYER");
  EXPECT_EQ(ReasonText(Make(MakeSpec("s", 1, {MakeLayer("a", 0.5), MakeLayer("a", 0.5)}))),
            "LAYER_EXISTS");
}

TEST_F(SessionTest, RefusesMoreLayersThanAllowed) {
  SessionSpec spec = MakeSpec("s", 1, {});
  for (const char* const id : {"a", "b", "c", "d"}) spec.layers.push_back(MakeLayer(id, 0.5));
  EXPECT_TRUE(Make(spec).ok());
  spec.layers.push_back(MakeLayer("e", 0.5));
  EXPECT_EQ(ReasonText(Make(spec)), "QUOTA_LAYERS");
}

TEST_F(SessionTest, DrawsDifferentSeeds) {
  std::set<std::uint64_t> seeds;
  bool large = false;
  for (int i = 0; i < 64; ++i) {
    SessionSpec spec;
    seeds.insert(Make(spec).value()->seed());
    large |= *seeds.rbegin() > NumpyLegacyStream::kMaxSeed;
  }
  EXPECT_EQ(seeds.size(), 64u);
  EXPECT_TRUE(large);
}

TEST_F(SessionTest, DrawsASeedThatNumpyLegacyCanUse) {
  for (int i = 0; i < 64; ++i) {
    SessionSpec spec;
    spec.layers = {MakeLayer("a", 0.5), MakeLayer("n", 0.5, Generator::kNumpyLegacy)};
    const auto session = Make(spec);
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_LE((*session)->seed(), NumpyLegacyStream::kMaxSeed);
  }
}

TEST_F(SessionTest, NumpyLegacyRefusesSeedsPastItsRange) {
  const LayerConfig numpy = MakeLayer("n", 0.5, Generator::kNumpyLegacy);
  const std::uint64_t last = NumpyLegacyStream::kMaxSeed;
  EXPECT_TRUE(Make(MakeSpec("s", last, {numpy})).ok());
  EXPECT_EQ(ReasonText(Make(MakeSpec("s", last + 1, {numpy}))), "INVALID_LAYER");
  const auto session = Make(MakeSpec("s", last + 1, {MakeLayer("n", 0.5)})).value();
  EXPECT_EQ(ReasonText(session->UpdateLayer(numpy)), "INVALID_LAYER");
  EXPECT_EQ(ReasonText(session->CreateLayer(MakeLayer("m", 0.5, Generator::kNumpyLegacy))),
            "INVALID_LAYER");
  EXPECT_EQ(LayerOf(*session, "n").revision, 1u);
}

TEST_F(SessionTest, KnowsTheSpecItWasMadeFrom) {
  SessionSpec spec = MakeSpec("s", 1, {MakeLayer("a", 0.5), MakeLayer("b", 0.5)});
  spec.ttl = std::chrono::seconds(5);
  const auto session = Make(spec).value();
  // Whatever happened to it since.
  ASSERT_TRUE(session->SetMode(Mode::kEval, {}).ok());
  ASSERT_TRUE(session->UpdateLayer(MakeLayer("a", 0.75)).ok());
  ASSERT_TRUE(session->DeleteLayer("b").ok());
  EXPECT_TRUE(session->MadeFrom(spec));

  const auto differs = [&](auto change) {
    SessionSpec other = spec;
    change(other);
    return !session->MadeFrom(other);
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

TEST_F(SessionTest, ADrawnSeedIsNotPartOfTheSpec) {
  SessionSpec spec;
  spec.session_id = "s";
  const auto session = Make(spec).value();
  EXPECT_TRUE(session->MadeFrom(spec));
  spec.seed = session->seed();
  EXPECT_FALSE(session->MadeFrom(spec));
}

// --- Layers -------------------------------------------------------------------------------

TEST_F(SessionTest, CreatingALayerAgainReturnsTheOneThatExists) {
  const auto session = MakeAbc();
  ASSERT_TRUE(session->UpdateLayer(MakeLayer("a", 0.25)).ok());
  const auto again = session->CreateLayer(MakeLayer("a", 0.5));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->revision, 2u);
  EXPECT_EQ(again->config->p, 0.25);
  EXPECT_EQ(ReasonText(session->CreateLayer(MakeLayer("a", 0.125))), "LAYER_EXISTS");
  LayerConfig other = MakeLayer("a", 0.5);
  other.scaling = Scaling::kNone;
  EXPECT_EQ(ReasonText(session->CreateLayer(other)), "LAYER_EXISTS");
}

TEST_F(SessionTest, TheLayerLimitHoldsForNewLayersOnly) {
  const auto session = MakeAbc();
  ASSERT_TRUE(session->CreateLayer(MakeLayer("d", 0.5)).ok());
  EXPECT_EQ(ReasonText(session->CreateLayer(MakeLayer("e", 0.5))), "QUOTA_LAYERS");
  EXPECT_TRUE(session->CreateLayer(MakeLayer("d", 0.5)).ok());
  EXPECT_TRUE(session->UpdateLayer(MakeLayer("d", 0.25)).ok());
  ASSERT_TRUE(session->DeleteLayer("a").ok());
  EXPECT_TRUE(session->CreateLayer(MakeLayer("e", 0.5)).ok());
}

TEST_F(SessionTest, AnUpdateThatChangesSomethingIsANewRevision) {
  const auto session = MakeAbc();
  EXPECT_EQ(session->UpdateLayer(MakeLayer("a", 0.25))->revision, 2u);
  EXPECT_EQ(session->UpdateLayer(MakeLayer("a", 0.25))->revision, 2u);
  EXPECT_EQ(session->UpdateLayer(MakeLayer("a", 0.5))->revision, 3u);
  EXPECT_EQ(LayerOf(*session, "a").revision, 3u);
  EXPECT_EQ(LayerOf(*session, "b").revision, 1u);
}

TEST_F(SessionTest, AFailedUpdateChangesNothing) {
  const auto session = MakeAbc();
  EXPECT_EQ(ReasonText(session->UpdateLayer(MakeLayer("a", -0.5))), "INVALID_LAYER");
  EXPECT_EQ(ReasonText(session->UpdateLayer(MakeLayer("x", 0.5))), "LAYER_NOT_FOUND");
  EXPECT_EQ(LayerOf(*session, "a").revision, 1u);
  EXPECT_EQ(LayerOf(*session, "a").config->p, 0.5);
  EXPECT_EQ(session->View().layers.size(), 3u);
}

TEST_F(SessionTest, AnUpdateSetsTheMode) {
  const auto session = MakeAbc();
  LayerConfig config = MakeLayer("a", 0.5);
  config.mode = Mode::kEval;
  EXPECT_EQ(session->UpdateLayer(config)->mode, Mode::kEval);
  // Without one of its own it has the session's again.
  EXPECT_EQ(session->UpdateLayer(MakeLayer("a", 0.5))->mode, Mode::kTrain);
}

TEST_F(SessionTest, ADeletedLayerIsGone) {
  const auto session = MakeAbc();
  ASSERT_TRUE(session->UpdateLayer(MakeLayer("a", 0.25)).ok());
  ASSERT_TRUE(session->DeleteLayer("a").ok());
  EXPECT_EQ(ReasonText(session->DeleteLayer("a")), "LAYER_NOT_FOUND");
  EXPECT_EQ(ReasonText(session->Snapshot("a", std::nullopt)), "LAYER_NOT_FOUND");
  EXPECT_EQ(ReasonText(session->ReleaseSteps("a", 9)), "LAYER_NOT_FOUND");
  // Its name is free, and starts anew.
  const auto created = session->CreateLayer(MakeLayer("a", 0.75));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->revision, 1u);
}

// --- Modes --------------------------------------------------------------------------------

TEST_F(SessionTest, SetModeOfAllIsForLaterLayersToo) {
  const auto session = MakeAbc();
  EXPECT_EQ(*session->SetMode(Mode::kEval, {}), (Ids{"a", "b", "c"}));
  EXPECT_EQ(session->View().mode, Mode::kEval);
  for (const char* const id : {"a", "b", "c"}) EXPECT_EQ(LayerOf(*session, id).mode, Mode::kEval);
  EXPECT_EQ(session->CreateLayer(MakeLayer("d", 0.5))->mode, Mode::kEval);
}

TEST_F(SessionTest, SetModeOfSomeLeavesTheOthers) {
  const auto session = MakeAbc();
  EXPECT_EQ(*session->SetMode(Mode::kEval, {"c", "a", "c"}), (Ids{"a", "c"}));
  EXPECT_EQ(session->View().mode, Mode::kTrain);
  EXPECT_EQ(LayerOf(*session, "a").mode, Mode::kEval);
  EXPECT_EQ(LayerOf(*session, "b").mode, Mode::kTrain);
  EXPECT_EQ(LayerOf(*session, "c").mode, Mode::kEval);
  EXPECT_EQ(session->CreateLayer(MakeLayer("d", 0.5))->mode, Mode::kTrain);
}

TEST_F(SessionTest, SetModeOfAnUnknownLayerChangesNothing) {
  const auto session = MakeAbc();
  EXPECT_EQ(ReasonText(session->SetMode(Mode::kEval, {"a", "x", "b"})), "LAYER_NOT_FOUND");
  for (const char* const id : {"a", "b", "c"}) EXPECT_EQ(LayerOf(*session, id).mode, Mode::kTrain);
}

TEST_F(SessionTest, SetModeIsNotARevision) {
  const auto session = MakeAbc();
  ASSERT_TRUE(session->SetMode(Mode::kEval, {}).ok());
  EXPECT_EQ(LayerOf(*session, "a").revision, 1u);
}

TEST_F(SessionTest, ALayersOwnModeBeatsTheSessions) {
  LayerConfig own = MakeLayer("own", 0.5);
  own.mode = Mode::kEval;
  const auto session = Make(MakeSpec("s", 1, {own, MakeLayer("other", 0.5)})).value();
  EXPECT_EQ(LayerOf(*session, "own").mode, Mode::kEval);
  EXPECT_EQ(LayerOf(*session, "other").mode, Mode::kTrain);
  // SetMode of all means all.
  ASSERT_TRUE(session->SetMode(Mode::kTrain, {}).ok());
  EXPECT_EQ(LayerOf(*session, "own").mode, Mode::kTrain);
}

// --- Steps --------------------------------------------------------------------------------

class SessionStepTest : public SessionTest {
 protected:
  using IfPresent = Session::IfPresent;

  StepRecord NewRecord(double p = 0.5) {
    StepRecord record;
    record.config = std::make_shared<const LayerConfig>(MakeLayer("a", p));
    record.rate = p;
    record.mask_id = cache_.NewId();
    return record;
  }

  const std::shared_ptr<Session> session_ = MakeAbc();
  const StepKey key_{7, 0};
  const LayerSnapshot layer_ = session_->Snapshot("a", key_).value();
};

TEST_F(SessionStepTest, ASnapshotHasTheStepsRecord) {
  EXPECT_FALSE(layer_.record.has_value());
  ASSERT_TRUE(session_
                  ->Commit(*layer_.state, key_, NewRecord(0.25), MakeBits(100), nullptr,
                           IfPresent::kReplace)
                  .ok());
  const LayerSnapshot now = session_->Snapshot("a", key_).value();
  ASSERT_TRUE(now.record.has_value());
  EXPECT_EQ(now.record->rate.p, 0.25);
  EXPECT_NE(cache_.Get(now.record->mask_id), nullptr);
  EXPECT_FALSE(session_->Snapshot("a", StepKey{7, 1})->record.has_value());
  EXPECT_FALSE(session_->Snapshot("b", key_)->record.has_value());
  EXPECT_FALSE(session_->Snapshot("a", std::nullopt)->record.has_value());
}

TEST_F(SessionStepTest, KeepLeavesARecordThatIsThere) {
  LayerState& layer = *layer_.state;
  ASSERT_TRUE(
      session_->Commit(layer, key_, NewRecord(0.25), nullptr, nullptr, IfPresent::kKeep).ok());
  ASSERT_TRUE(
      session_->Commit(layer, key_, NewRecord(0.75), nullptr, nullptr, IfPresent::kKeep).ok());
  EXPECT_EQ(session_->Snapshot("a", key_)->record->rate.p, 0.25);
  ASSERT_TRUE(
      session_->Commit(layer, key_, NewRecord(0.75), nullptr, nullptr, IfPresent::kReplace).ok());
  EXPECT_EQ(session_->Snapshot("a", key_)->record->rate.p, 0.75);
}

TEST_F(SessionStepTest, NothingIsCommittedToALayerThatWent) {
  ASSERT_TRUE(session_->DeleteLayer("a").ok());
  for (const IfPresent if_present : {IfPresent::kKeep, IfPresent::kReplace}) {
    EXPECT_EQ(ReasonText(session_->Commit(*layer_.state, key_, NewRecord(), MakeBits(100), nullptr,
                                          if_present)),
              "LAYER_NOT_FOUND");
  }
  EXPECT_EQ(ReasonText(session_->MakeRoom(*layer_.state, key_)), "LAYER_NOT_FOUND");
  EXPECT_EQ(cache_.bytes(), 0u);
  EXPECT_EQ(budget_.total, 0u);
}

TEST_F(SessionStepTest, NorWhereItsNameWasTakenByAnother) {
  ASSERT_TRUE(session_->DeleteLayer("a").ok());
  ASSERT_TRUE(session_->CreateLayer(MakeLayer("a", 0.5)).ok());
  EXPECT_EQ(ReasonText(session_->Commit(*layer_.state, key_, NewRecord(), MakeBits(100), nullptr,
                                        IfPresent::kReplace)),
            "LAYER_NOT_FOUND");
  EXPECT_FALSE(session_->Snapshot("a", key_)->record.has_value());
  EXPECT_EQ(cache_.bytes(), 0u);
}

TEST_F(SessionStepTest, ADeletedLayerLeavesTheCache) {
  ASSERT_TRUE(
      session_
          ->Commit(*layer_.state, key_, NewRecord(), MakeBits(100), nullptr, IfPresent::kReplace)
          .ok());
  EXPECT_GT(cache_.bytes(), 0u);
  const LayerSnapshot held = session_->Snapshot("a", key_).value();
  ASSERT_TRUE(session_->DeleteLayer("a").ok());
  EXPECT_EQ(cache_.bytes(), 0u);
  EXPECT_EQ(budget_.total, 0u);
  // A call in flight made the mask again.
  session_->Recache(*held.state, key_, held.record->mask_id, MakeBits(100));
  EXPECT_EQ(cache_.bytes(), 0u);
}

TEST_F(SessionStepTest, RecachesOnlyTheMaskOfTheRecord) {
  LayerState& layer = *layer_.state;
  const StepRecord first = NewRecord();
  ASSERT_TRUE(session_->Commit(layer, key_, first, nullptr, nullptr, IfPresent::kReplace).ok());
  session_->Recache(layer, key_, first.mask_id, MakeBits(100));
  EXPECT_NE(cache_.Get(first.mask_id), nullptr);
  const StepRecord second = NewRecord();
  ASSERT_TRUE(session_->Commit(layer, key_, second, nullptr, nullptr, IfPresent::kReplace).ok());
  session_->Recache(layer, key_, first.mask_id, MakeBits(100));
  EXPECT_EQ(cache_.bytes(), 0u);
  session_->ReleaseStep(layer, key_);
  session_->Recache(layer, key_, second.mask_id, MakeBits(100));
  EXPECT_EQ(cache_.bytes(), 0u);
}

TEST_F(SessionStepTest, ASessionLeavesTheCacheAlsoWhereACallHoldsItsLayer) {
  auto session = Make(MakeSpec("t", 1, {MakeLayer("a", 0.5)})).value();
  const LayerSnapshot held = session->Snapshot("a", key_).value();
  ASSERT_TRUE(
      session->Commit(*held.state, key_, NewRecord(), MakeBits(100), nullptr, IfPresent::kReplace)
          .ok());
  session.reset();
  EXPECT_EQ(cache_.bytes(), 0u);
  EXPECT_EQ(budget_.total, 0u);
}

TEST_F(SessionStepTest, ReleasesTheStepsOfOneLayerOrOfAll) {
  for (const char* const id : {"a", "b", "c"}) {
    const LayerSnapshot layer = session_->Snapshot(id, std::nullopt).value();
    for (std::uint64_t step = 0; step < 5; ++step) {
      ASSERT_TRUE(session_
                      ->Commit(*layer.state, {step, 0}, NewRecord(), MakeBits(10), nullptr,
                               IfPresent::kReplace)
                      .ok());
    }
  }
  EXPECT_EQ(*session_->ReleaseSteps("b", 1), 2u);
  EXPECT_EQ(*session_->ReleaseSteps("b", 1), 0u);
  EXPECT_EQ(*session_->ReleaseSteps("", 2), 3u + 1u + 3u);
  EXPECT_EQ(ReasonText(session_->ReleaseSteps("x", 9)), "LAYER_NOT_FOUND");
  EXPECT_EQ(budget_.total, 6u);
  EXPECT_EQ(*session_->ReleaseSteps("", 9), 6u);
  EXPECT_EQ(cache_.bytes(), 0u);
}

}  // namespace
}  // namespace dropoutd
