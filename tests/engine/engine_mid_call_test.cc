// What happens to a session while one of its tensors is being processed. That these tests end
// shows that no lock is held meanwhile: the call under test stands still until the others are
// done.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/engine/engine.h"
#include "tests/engine/manual_clock.h"
#include "tests/engine/support.h"
#include "tests/engine/tensor_gate.h"
#include "tests/engine/test_engine.h"

namespace dropoutd {
namespace {

constexpr std::uint64_t kSeed = 77;
constexpr std::size_t kCount = 4096;

class EngineMidCallTest : public testing::Test {
 protected:
  EngineMidCallTest() {
    EXPECT_TRUE(engine_
                    .CreateSession(MakeSpec("s", kSeed,
                                            {MakeLayer("a", 0.5), MakeLayer("b", 0.5),
                                             MakeLayer("n", 0.5, Generator::kNumpyLegacy)}))
                    .ok());
  }

  // Forward of the layer's step 1 with a tensor of zeros, during which `meanwhile` runs.
  absl::StatusOr<ForwardOutcome> ForwardDuring(const std::string& layer_id,
                                               const std::function<void()>& meanwhile) {
    absl::StatusOr<ForwardOutcome> outcome = absl::UnknownError("did not run");
    During(
        [&](const void* x) {
          std::vector<float> y(kCount);
          outcome = engine_.Forward(StepRef{"s", layer_id, 1}, {DataType::kFloat32, shape_, x},
                                    y.data(), /*return_mask=*/true);
        },
        meanwhile);
    return outcome;
  }

  absl::Status BackwardDuring(const std::string& layer_id, bool release,
                              const std::function<void()>& meanwhile) {
    absl::Status status = absl::UnknownError("did not run");
    During(
        [&](const void* dy) {
          std::vector<float> dx(kCount);
          status = engine_.Backward(StepRef{"s", layer_id, 1}, {DataType::kFloat32, shape_, dy},
                                    dx.data(), release);
        },
        meanwhile);
    return status;
  }

  std::string BackwardError(const std::string& layer_id) {
    return ReasonText(RunBackward(engine_, {"s", layer_id, 1}, shape_, x_));
  }

  // Every other call on the session, and some on others.
  void CallEverything() {
    EXPECT_TRUE(engine_.GetSession("s").ok());
    EXPECT_TRUE(engine_.SetMode("s", Mode::kEval, {}).ok());
    EXPECT_TRUE(engine_.SetMode("s", Mode::kTrain, {}).ok());
    EXPECT_TRUE(engine_.UpdateLayer("s", MakeLayer("a", 0.25)).ok());
    EXPECT_TRUE(engine_.CreateLayer("s", MakeLayer("c", 0.5)).ok());
    EXPECT_TRUE(RunForward(engine_, {"s", "c", 1}, shape_, x_).ok());
    EXPECT_TRUE(RunForward(engine_, {"s", "n", 9}, shape_, x_).ok());
    EXPECT_TRUE(RunBackward(engine_, {"s", "c", 1}, shape_, x_).ok());
    EXPECT_TRUE(engine_.GetMask(StepRef{"s", "b", 2}, shape_).ok());
    EXPECT_TRUE(engine_.ReleaseSteps("s", "c", 1).ok());
    EXPECT_TRUE(engine_.DeleteLayer("s", "c").ok());
    EXPECT_TRUE(engine_.CreateSession(MakeSpec("t", 1, {})).ok());
    EXPECT_EQ(engine_.ListSessions("", 10)->sessions.size(), 2u);
    EXPECT_EQ(engine_.RemoveExpired(), 0u);
    EXPECT_TRUE(engine_.DeleteSession("t").ok());
  }

  const Shape shape_ = MakeShape({kCount});
  const std::vector<float> x_ = MakeValues(kCount, 1);
  ManualClock clock_;
  TestEngine engine_{Limits(), clock_};

 private:
  // `call` gets a tensor that it cannot read before `meanwhile` has returned.
  static void During(const std::function<void(const void*)>& call,
                     const std::function<void()>& meanwhile) {
    TensorGate gate(kCount * sizeof(float));
    std::thread caller([&] { call(gate.data()); });
    EXPECT_TRUE(gate.AwaitVisitor()) << "the call did not touch its tensor";
    meanwhile();
    gate.Open();
    caller.join();
    EXPECT_FALSE(gate.gave_up()) << "another call waited for this one";
  }
};

// --- No lock is held ----------------------------------------------------------------------

TEST_F(EngineMidCallTest, ForwardHoldsNoLock) {
  EXPECT_TRUE(ForwardDuring("b", [&] { CallEverything(); }).ok());
}

TEST_F(EngineMidCallTest, ForwardFromTheStreamHoldsNoLock) {
  EXPECT_TRUE(ForwardDuring("n", [&] { CallEverything(); }).ok());
}

TEST_F(EngineMidCallTest, ForwardInEvalHoldsNoLock) {
  LayerConfig config = MakeLayer("b", 0.5);
  config.mode = Mode::kEval;
  ASSERT_TRUE(engine_.UpdateLayer("s", config).ok());
  EXPECT_TRUE(ForwardDuring("b", [&] { CallEverything(); }).ok());
}

TEST_F(EngineMidCallTest, BackwardHoldsNoLock) {
  for (const char* const layer : {"b", "n"}) {
    ASSERT_TRUE(RunForward(engine_, {"s", layer, 1}, shape_, x_).ok());
    EXPECT_TRUE(BackwardDuring(layer, false, [&] { CallEverything(); }).ok()) << layer;
  }
}

// --- A call keeps to what was in force when it began --------------------------------------

TEST_F(EngineMidCallTest, ForwardKeepsToItsModeAndP) {
  const auto outcome = ForwardDuring("a", [&] {
    ASSERT_TRUE(engine_.UpdateLayer("s", MakeLayer("a", 0.25)).ok());
    ASSERT_TRUE(engine_.SetMode("s", Mode::kEval, {}).ok());
  });
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->mode, Mode::kTrain);
  EXPECT_EQ(outcome->p, 0.5);
  const PackedBits bits = ReferenceBits(kSeed, MakeLayer("a", 0.5), 1, 0, shape_);
  EXPECT_EQ(outcome->mask->bits->bytes(), bits.bytes());
  // And so does its record.
  EXPECT_EQ(*RunBackward(engine_, {"s", "a", 1}, shape_, x_), ReferenceMasked(bits, 0.5, x_));
}

TEST_F(EngineMidCallTest, TheForwardThatEndsLastWins) {
  if (engine_.is_stored()) GTEST_SKIP() << "in a store it is the one that begins last";
  const auto outcome = ForwardDuring("a", [&] {
    ASSERT_TRUE(engine_.UpdateLayer("s", MakeLayer("a", 0.25)).ok());
    ASSERT_TRUE(RunForward(engine_, {"s", "a", 1}, shape_, x_).ok());
  });
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(*RunBackward(engine_, {"s", "a", 1}, shape_, x_),
            ReferenceMasked(ReferenceBits(kSeed, MakeLayer("a", 0.5), 1, 0, shape_), 0.5, x_));
  EXPECT_EQ(engine_.mask_cache().bytes(), kCount / 8 + MaskCache::kEntryOverhead);
}

TEST_F(EngineMidCallTest, AStepReleasedDuringItsBackwardStaysReleased) {
  ASSERT_TRUE(RunForward(engine_, {"s", "a", 1}, shape_, x_).ok());
  EXPECT_TRUE(BackwardDuring("a", /*release=*/true, [&] {
                EXPECT_EQ(*engine_.ReleaseSteps("s", "a", 1), 1u);
              }).ok());
  EXPECT_EQ(BackwardError("a"), "STEP_NOT_FOUND");
  EXPECT_EQ(engine_.mask_cache().bytes(), 0u);
}

// --- What goes, goes ----------------------------------------------------------------------

// Unless a store has had its record before.
TEST_F(EngineMidCallTest, ALayerThatGoesFailsTheForward) {
  const auto outcome = ForwardDuring("a", [&] { ASSERT_TRUE(engine_.DeleteLayer("s", "a").ok()); });
  EXPECT_EQ(ReasonText(outcome), engine_.is_stored() ? "OK" : "LAYER_NOT_FOUND");
  EXPECT_EQ(engine_.mask_cache().bytes(), 0u);
}

TEST_F(EngineMidCallTest, ALayerThatTookItsNameDoesNotGetItsStep) {
  const auto outcome = ForwardDuring("a", [&] {
    ASSERT_TRUE(engine_.DeleteLayer("s", "a").ok());
    ASSERT_TRUE(engine_.CreateLayer("s", MakeLayer("a", 0.5)).ok());
  });
  EXPECT_EQ(ReasonText(outcome), engine_.is_stored() ? "OK" : "LAYER_NOT_FOUND");
  EXPECT_EQ(BackwardError("a"), "STEP_NOT_FOUND");
  EXPECT_EQ(engine_.mask_cache().bytes(), 0u);
}

TEST_F(EngineMidCallTest, ALayerThatGoesLeavesNothingBehindItsBackward) {
  for (const char* const layer : {"a", "n"}) {
    ASSERT_TRUE(RunForward(engine_, {"s", layer, 1}, shape_, x_).ok());
    EXPECT_TRUE(BackwardDuring(layer, true, [&] {
                  ASSERT_TRUE(engine_.DeleteLayer("s", layer).ok());
                }).ok());
    EXPECT_EQ(engine_.mask_cache().bytes(), 0u) << layer;
  }
}

TEST_F(EngineMidCallTest, ASessionThatGoesLeavesNothingBehindItsForward) {
  for (const char* const layer : {"a", "n"}) {
    ASSERT_TRUE(engine_
                    .CreateSession(MakeSpec("s", kSeed,
                                            {MakeLayer("a", 0.5), MakeLayer("b", 0.5),
                                             MakeLayer("n", 0.5, Generator::kNumpyLegacy)}))
                    .ok());
    const auto outcome =
        ForwardDuring(layer, [&] { ASSERT_TRUE(engine_.DeleteSession("s").ok()); });
    // The call had found its session, and may answer.
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(BackwardError(layer), "SESSION_NOT_FOUND");
    EXPECT_EQ(engine_.mask_cache().bytes(), 0u) << layer;
  }
}

TEST_F(EngineMidCallTest, ASessionThatExpiresLeavesNothingBehindItsForward) {
  if (engine_.is_shared()) GTEST_SKIP() << "other servers may have renewed it";
  const auto outcome = ForwardDuring("a", [&] {
    clock_.Advance(engine_.limits().default_ttl);
    engine_.RemoveExpired();
    EXPECT_EQ(engine_.ListSessions("", 10)->sessions.size(), 0u);
  });
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(BackwardError("a"), "SESSION_NOT_FOUND");
  // The engine's own thread may have been the one that took it out.
  while (engine_.mask_cache().bytes() != 0) std::this_thread::yield();
}

}  // namespace
}  // namespace dropoutd
