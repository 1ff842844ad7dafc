// Forward, Backward and GetMask with a counter-based generator.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <thread>

#include "server/engine/engine.h"
#include "tests/engine/manual_clock.h"
#include "tests/engine/support.h"
#include "tests/engine/test_engine.h"

namespace dropoutd {
namespace {

constexpr std::uint64_t kSeed = 0x123456789ABCDEF0;
constexpr double kP = 0.5;
constexpr std::int64_t kRows = 6;
constexpr std::int64_t kColumns = 11;

class EngineStepsTest : public testing::Test {
 protected:
  EngineStepsTest() { EXPECT_TRUE(engine_.CreateSession(MakeSpec("s", kSeed, {layer_})).ok()); }

  static Limits SmallLimits() {
    Limits limits;
    limits.max_steps_per_layer = 8;
    limits.max_mask_bytes = 1000;
    return limits;
  }

  static Place At(std::uint64_t step, std::int64_t sample_offset = 0) {
    return {"s", "l", step, sample_offset};
  }

  absl::StatusOr<ForwardAnswer> Forward(const Place& at) {
    return RunForward(engine_, at, shape_, x_);
  }

  // The gradient that Backward gives for x_, or the error's reason in a failure.
  std::vector<float> Backward(const Place& at) {
    const auto dx = RunBackward(engine_, at, shape_, x_);
    EXPECT_TRUE(dx.ok()) << dx.status();
    return dx.value_or(std::vector<float>());
  }

  std::string BackwardError(const Place& at) {
    return ReasonText(RunBackward(engine_, at, shape_, x_));
  }

  // x_ masked as the layer with drop probability `p` must.
  std::vector<float> Masked(std::uint64_t step, double p = kP) const {
    return ReferenceMasked(ReferenceBits(kSeed, MakeLayer("l", p), step, 0, shape_), p, x_);
  }

  void SetMode(Mode mode) { ASSERT_TRUE(engine_.SetMode("s", mode, {}).ok()); }

  void Update(const LayerConfig& config) { ASSERT_TRUE(engine_.UpdateLayer("s", config).ok()); }

  const LayerConfig layer_ = MakeLayer("l", kP);
  const Shape shape_ = MakeShape({kRows, kColumns});
  const std::vector<float> x_ = MakeValues(kRows * kColumns, 1);
  ManualClock clock_;
  TestEngine engine_{SmallLimits(), clock_};
};

// --- Forward ------------------------------------------------------------------------------

TEST_F(EngineStepsTest, TrainMasksAsTheMaskFormatSays) {
  const auto answer = Forward(At(3));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->y, Masked(3));
  EXPECT_EQ(answer->outcome.mode, Mode::kTrain);
  EXPECT_EQ(answer->outcome.p, kP);
  ASSERT_TRUE(answer->outcome.mask.has_value());
  EXPECT_EQ(answer->outcome.mask->shape, shape_);
  EXPECT_EQ(answer->outcome.mask->scale, 2.0);
  EXPECT_EQ(answer->outcome.mask->bits->bytes(),
            ReferenceBits(kSeed, layer_, 3, 0, shape_).bytes());
}

TEST_F(EngineStepsTest, ARetryReturnsTheSameBytes) {
  const auto first = Forward(At(3));
  const auto second = Forward(At(3));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->y, second->y);
  EXPECT_NE(Forward(At(4))->y, first->y);
}

TEST_F(EngineStepsTest, PartsOfABatchHaveTheWholesMask) {
  const std::vector<float> whole = Forward(At(3))->y;
  constexpr std::int64_t kFirst = 2;
  const std::vector<float> part(x_.begin() + kFirst * kColumns, x_.end());
  const Shape shape = MakeShape({kRows - kFirst, kColumns});
  const auto answer = RunForward(engine_, At(3, kFirst), shape, part);
  ASSERT_TRUE(answer.ok()) << answer.status();
  const std::vector<float> expected(whole.begin() + kFirst * kColumns, whole.end());
  EXPECT_EQ(answer->y, expected);
  // Each part has its own record.
  EXPECT_EQ(*RunBackward(engine_, At(3, kFirst), shape, part), expected);
  EXPECT_EQ(Backward(At(3)), whole);
}

TEST_F(EngineStepsTest, TheMaskIsReturnedOnlyIfAsked) {
  std::vector<float> y(x_.size());
  const auto outcome =
      engine_.Forward(At(3).Ref(), {DataType::kFloat32, shape_, x_.data()}, y.data(), false);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(outcome->mask.has_value());
  EXPECT_EQ(y, Masked(3));
}

TEST_F(EngineStepsTest, OutputMayBeTheInputsPlace) {
  std::vector<float> x = x_;
  ASSERT_TRUE(
      engine_.Forward(At(3).Ref(), {DataType::kFloat32, shape_, x.data()}, x.data(), false).ok());
  EXPECT_EQ(x, Masked(3));
  x = x_;
  ASSERT_TRUE(
      engine_.Backward(At(3).Ref(), {DataType::kFloat32, shape_, x.data()}, x.data(), false).ok());
  EXPECT_EQ(x, Masked(3));
}

TEST_F(EngineStepsTest, DroppedIsPlusZeroWhateverTheInput) {
  const PackedBits bits = ReferenceBits(kSeed, layer_, 3, 0, shape_);
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(), -1.0f}) {
    const auto answer = RunForward(engine_, At(3), shape_, std::vector<float>(x_.size(), value));
    ASSERT_TRUE(answer.ok()) << answer.status();
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (BitAt(bits, i)) continue;
      EXPECT_EQ(answer->y[i], 0.0f) << value;
      EXPECT_FALSE(std::signbit(answer->y[i])) << value;
    }
  }
}

TEST_F(EngineStepsTest, SharedAxesShareTheDraw) {
  LayerConfig config = layer_;
  config.options = DropoutOptions{{1}};
  Update(config);
  const auto answer = Forward(At(3));
  ASSERT_TRUE(answer.ok()) << answer.status();
  const MaskView& mask = *answer->outcome.mask;
  EXPECT_EQ(mask.shape, MakeShape({kRows, 1}));
  for (std::size_t i = 0; i < x_.size(); ++i) {
    EXPECT_EQ(answer->y[i], BitAt(*mask.bits, i / kColumns) ? 2.0f * x_[i] : 0.0f) << i;
  }
  EXPECT_EQ(Backward(At(3)), answer->y);
}

TEST_F(EngineStepsTest, AnEmptyTensorIsAStepToo) {
  const Shape empty = MakeShape({0, kColumns});
  ASSERT_TRUE(RunForward(engine_, At(3), empty, {}).ok());
  EXPECT_TRUE(RunBackward(engine_, At(3), empty, {}).ok());
  EXPECT_EQ(BackwardError(At(3)), "SHAPE_MISMATCH");
}

// --- Eval, and p = 0 ----------------------------------------------------------------------

TEST_F(EngineStepsTest, EvalPassesThrough) {
  SetMode(Mode::kEval);
  for (const Place& at : {At(3), Place{"s", "l", std::nullopt}}) {
    const auto answer = Forward(at);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->y, x_);
    EXPECT_EQ(answer->outcome.mode, Mode::kEval);
    EXPECT_EQ(answer->outcome.p, kP);
    EXPECT_EQ(answer->outcome.mask->bits->bytes(), PackedBits::AllKept(x_.size()).bytes());
    EXPECT_EQ(answer->outcome.mask->scale, 1.0);
  }
}

TEST_F(EngineStepsTest, ScalingEvalScalesInEval) {
  LayerConfig config = MakeLayer("l", 0.25);
  config.scaling = Scaling::kEval;
  Update(config);
  SetMode(Mode::kEval);
  std::vector<float> expected = x_;
  for (float& value : expected) value *= 0.75f;
  EXPECT_EQ(Forward(At(3))->y, expected);
  EXPECT_EQ(Backward(At(3)), expected);
  EXPECT_EQ(Backward({"s", "l", std::nullopt}), expected);
}

TEST_F(EngineStepsTest, AnEvalForwardLeavesATrainRecordAlone) {
  ASSERT_TRUE(Forward(At(3)).ok());
  SetMode(Mode::kEval);
  EXPECT_EQ(Forward(At(3))->y, x_);
  EXPECT_EQ(Backward(At(3)), Masked(3));
}

TEST_F(EngineStepsTest, AnEvalForwardOfANewStepIsRecorded) {
  SetMode(Mode::kEval);
  ASSERT_TRUE(Forward(At(3)).ok());
  SetMode(Mode::kTrain);
  EXPECT_EQ(Backward(At(3)), x_);
  EXPECT_EQ(BackwardError(At(4)), "STEP_NOT_FOUND");
  // A train Forward wins over it.
  ASSERT_TRUE(Forward(At(3)).ok());
  EXPECT_EQ(Backward(At(3)), Masked(3));
}

TEST_F(EngineStepsTest, PZeroPassesThroughAndLeavesATrainRecordAlone) {
  ASSERT_TRUE(Forward(At(3)).ok());
  Update(MakeLayer("l", 0.0));
  for (const std::uint64_t step : {3, 4}) {
    const auto answer = Forward(At(step));
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->y, x_);
    EXPECT_EQ(answer->outcome.mode, Mode::kTrain);
    EXPECT_EQ(answer->outcome.p, 0.0);
  }
  EXPECT_EQ(Backward(At(3)), Masked(3));
  EXPECT_EQ(Backward(At(4)), x_);
}

// --- Backward -----------------------------------------------------------------------------

TEST_F(EngineStepsTest, BackwardObeysTheRecordWhateverCameSince) {
  ASSERT_TRUE(Forward(At(3)).ok());
  SetMode(Mode::kEval);
  EXPECT_EQ(Backward(At(3)), Masked(3));
  LayerConfig config = MakeLayer("l", 0.25);
  config.options = DropoutOptions{{0, 1}};
  config.scaling = Scaling::kNone;
  Update(config);
  EXPECT_EQ(Backward(At(3)), Masked(3));
  // Also without the mask's bits in the cache.
  Update(MakeLayer("l", 0.75));
  ASSERT_TRUE(RunForward(engine_, At(4), shape_, x_).ok());
  EXPECT_EQ(Backward(At(3)), Masked(3));
}

TEST_F(EngineStepsTest, BackwardWithoutARecord) {
  EXPECT_EQ(BackwardError(At(3)), "STEP_NOT_FOUND");
  EXPECT_EQ(BackwardError({"s", "l", std::nullopt}), "STEP_REQUIRED");
  SetMode(Mode::kEval);
  EXPECT_EQ(Backward(At(3)), x_);
  EXPECT_EQ(Backward({"s", "l", std::nullopt}), x_);
  SetMode(Mode::kTrain);
  EXPECT_EQ(BackwardError(At(3)), "STEP_NOT_FOUND");
}

TEST_F(EngineStepsTest, TheLastForwardWins) {
  ASSERT_TRUE(Forward(At(3)).ok());
  Update(MakeLayer("l", 0.25));
  ASSERT_TRUE(Forward(At(3)).ok());
  EXPECT_EQ(Backward(At(3)), Masked(3, 0.25));
  ASSERT_TRUE(RunForward(engine_, At(3), MakeShape({2, 2}), MakeValues(4, 1)).ok());
  EXPECT_EQ(BackwardError(At(3)), "SHAPE_MISMATCH");
}

TEST_F(EngineStepsTest, BackwardCanBeCalledAgainUntilTheRelease) {
  ASSERT_TRUE(Forward(At(3)).ok());
  EXPECT_EQ(Backward(At(3)), Masked(3));
  EXPECT_EQ(*RunBackward(engine_, At(3), shape_, x_, /*release=*/true), Masked(3));
  EXPECT_EQ(BackwardError(At(3)), "STEP_NOT_FOUND");
  EXPECT_EQ(engine_.mask_cache().bytes(), 0u);
}

TEST_F(EngineStepsTest, AMismatchDoesNotRelease) {
  ASSERT_TRUE(Forward(At(3)).ok());
  const Shape transposed = MakeShape({kColumns, kRows});
  EXPECT_EQ(ReasonText(RunBackward(engine_, At(3), transposed, x_, /*release=*/true)),
            "SHAPE_MISMATCH");
  EXPECT_EQ(Backward(At(3)), Masked(3));
}

TEST_F(EngineStepsTest, TheGradientMayHaveAnotherType) {
  ASSERT_TRUE(Forward(At(3)).ok());
  std::vector<double> dy(x_.begin(), x_.end());
  ASSERT_TRUE(
      engine_.Backward(At(3).Ref(), {DataType::kFloat64, shape_, dy.data()}, dy.data(), false)
          .ok());
  const std::vector<float> expected = Masked(3);
  EXPECT_EQ(dy, std::vector<double>(expected.begin(), expected.end()));
}

TEST_F(EngineStepsTest, ReleasedStepsAreForgotten) {
  for (const std::uint64_t step : {1, 2, 3}) ASSERT_TRUE(Forward(At(step)).ok());
  EXPECT_EQ(*engine_.ReleaseSteps("s", "l", 2), 2u);
  EXPECT_EQ(BackwardError(At(2)), "STEP_NOT_FOUND");
  EXPECT_EQ(Backward(At(3)), Masked(3));
  // A released step can be run again, and is the same.
  EXPECT_EQ(Forward(At(2))->y, Masked(2));
}

TEST_F(EngineStepsTest, TheLowestStepMakesRoomPastTheLimit) {
  if (engine_.is_stored()) GTEST_SKIP() << "a store forgets at its leisure";
  for (std::uint64_t step = 0; step < 10; ++step) ASSERT_TRUE(Forward(At(step)).ok());
  for (const std::uint64_t step : {0, 1}) EXPECT_EQ(BackwardError(At(step)), "STEP_NOT_FOUND");
  for (std::uint64_t step = 2; step < 10; ++step) EXPECT_EQ(Backward(At(step)), Masked(step));
}

// --- GetMask ------------------------------------------------------------------------------

TEST_F(EngineStepsTest, GetMaskNeedsNoForward) {
  const auto mask = engine_.GetMask(At(3).Ref(), shape_);
  ASSERT_TRUE(mask.ok()) << mask.status();
  EXPECT_EQ(mask->shape, shape_);
  EXPECT_EQ(mask->scale, 2.0);
  EXPECT_EQ(mask->bits->bytes(), ReferenceBits(kSeed, layer_, 3, 0, shape_).bytes());
  // And is none.
  EXPECT_EQ(BackwardError(At(3)), "STEP_NOT_FOUND");
  EXPECT_EQ(ReasonText(engine_.GetMask(At(3).Ref(), std::nullopt)), "STEP_NOT_FOUND");
}

TEST_F(EngineStepsTest, GetMaskObeysTheRecord) {
  ASSERT_TRUE(Forward(At(3)).ok());
  Update(MakeLayer("l", 0.25));
  SetMode(Mode::kEval);
  for (const std::optional<Shape>& shape : {std::optional<Shape>(), std::optional(shape_)}) {
    const auto mask = engine_.GetMask(At(3).Ref(), shape);
    ASSERT_TRUE(mask.ok()) << mask.status();
    EXPECT_EQ(mask->mode, Mode::kTrain);
    EXPECT_EQ(mask->scale, 2.0);
    EXPECT_EQ(mask->bits->bytes(), ReferenceBits(kSeed, layer_, 3, 0, shape_).bytes());
  }
  // Of more rows than the Forward had: by the same law.
  const Shape larger = MakeShape({2 * kRows, kColumns});
  EXPECT_EQ(engine_.GetMask(At(3).Ref(), larger)->bits->bytes(),
            ReferenceBits(kSeed, layer_, 3, 0, larger).bytes());
}

TEST_F(EngineStepsTest, GetMaskInEvalKeepsAll) {
  SetMode(Mode::kEval);
  for (const Place& at : {At(3), Place{"s", "l", std::nullopt}}) {
    const auto mask = engine_.GetMask(at.Ref(), shape_);
    ASSERT_TRUE(mask.ok()) << mask.status();
    EXPECT_EQ(mask->mode, Mode::kEval);
    EXPECT_EQ(mask->scale, 1.0);
    EXPECT_EQ(mask->bits->bytes(), PackedBits::AllKept(x_.size()).bytes());
  }
}

TEST_F(EngineStepsTest, GetMaskNeedsAStepButInEvalWithAShape) {
  const Place no_step{"s", "l", std::nullopt};
  EXPECT_EQ(ReasonText(engine_.GetMask(no_step.Ref(), shape_)), "STEP_REQUIRED");
  EXPECT_EQ(ReasonText(engine_.GetMask(no_step.Ref(), std::nullopt)), "STEP_REQUIRED");
  SetMode(Mode::kEval);
  EXPECT_EQ(ReasonText(engine_.GetMask(no_step.Ref(), std::nullopt)), "STEP_REQUIRED");
  EXPECT_TRUE(engine_.GetMask(no_step.Ref(), shape_).ok());
}

TEST_F(EngineStepsTest, GetMaskHasALimit) {
  EXPECT_TRUE(engine_.GetMask(At(3).Ref(), MakeShape({8000})).ok());
  EXPECT_EQ(ReasonText(engine_.GetMask(At(3).Ref(), MakeShape({8008}))), "QUOTA_MESSAGE_BYTES");
  SetMode(Mode::kEval);
  EXPECT_EQ(ReasonText(engine_.GetMask(At(3).Ref(), MakeShape({std::int64_t{1} << 62}))),
            "QUOTA_MESSAGE_BYTES");
}

// --- Errors -------------------------------------------------------------------------------

TEST_F(EngineStepsTest, UnknownNames) {
  for (const auto& [at, reason] : {std::pair(Place{"x", "l", 3}, "SESSION_NOT_FOUND"),
                                   std::pair(Place{"s", "x", 3}, "LAYER_NOT_FOUND")}) {
    EXPECT_EQ(ReasonText(Forward(at)), reason);
    EXPECT_EQ(BackwardError(at), reason);
    EXPECT_EQ(ReasonText(engine_.GetMask(at.Ref(), shape_)), reason);
  }
}

TEST_F(EngineStepsTest, AFailedForwardLeavesNoRecord) {
  EXPECT_EQ(ReasonText(Forward({"s", "l", std::nullopt})), "STEP_REQUIRED");
  EXPECT_EQ(ReasonText(Forward(At(3, -1))), "INVALID_TENSOR");
  EXPECT_EQ(ReasonText(Forward(At(3, std::numeric_limits<std::int64_t>::max()))), "INVALID_TENSOR");
  LayerConfig config = layer_;
  config.options = DropoutOptions{{2}};
  Update(config);
  EXPECT_EQ(ReasonText(Forward(At(3))), "INVALID_LAYER");
  EXPECT_EQ(*engine_.ReleaseSteps("s", "", std::numeric_limits<std::uint64_t>::max()), 0u);
  EXPECT_EQ(engine_.mask_cache().bytes(), 0u);
}

TEST_F(EngineStepsTest, AFailedForwardLeavesTheStepsRecord) {
  ASSERT_TRUE(Forward(At(3)).ok());
  LayerConfig config = layer_;
  config.options = DropoutOptions{{2}};
  Update(config);
  EXPECT_EQ(ReasonText(Forward(At(3))), "INVALID_LAYER");
  EXPECT_EQ(Backward(At(3)), Masked(3));
}

// What the caller asks of a planned Forward comes before any effect of it.
TEST_F(EngineStepsTest, AForwardThatItsCallerRefusesLeavesNoRecord) {
  const auto refuse = [&](std::uint64_t step, ForwardStart start) {
    const auto run =
        engine_.BeginForward(At(step).Ref(), DataType::kFloat32, shape_, {false, start},
                             [](const StepRun&) { return absl::CancelledError("no"); });
    EXPECT_TRUE(absl::IsCancelled(run.status()));
  };
  ASSERT_TRUE(Forward(At(4)).ok());
  Update(MakeLayer("l", 0.75));
  for (const ForwardStart start : {ForwardStart::kNow, ForwardStart::kLater}) {
    refuse(3, start);
    EXPECT_EQ(BackwardError(At(3)), "STEP_NOT_FOUND");
    refuse(4, start);
    EXPECT_EQ(Backward(At(4)), Masked(4));
  }
}

// Such as one whose input ends too early.
TEST_F(EngineStepsTest, AForwardThatNeverStartsLeavesNoRecord) {
  const auto begin = [&](std::uint64_t step) {
    std::vector<float> y(x_.size());
    auto run = engine_.BeginForward(At(step).Ref(), DataType::kFloat32, shape_,
                                    {false, ForwardStart::kLater},
                                    [](const StepRun&) { return absl::OkStatus(); });
    ASSERT_TRUE(run.ok()) << run.status();
    if (run->piecewise()) run->Run(0, Pass::kGranule, x_.data(), y.data());
  };
  ASSERT_TRUE(Forward(At(4)).ok());
  Update(MakeLayer("l", 0.75));
  begin(3);
  EXPECT_EQ(BackwardError(At(3)), "STEP_NOT_FOUND");
  begin(4);
  EXPECT_EQ(Backward(At(4)), Masked(4));
}

// --- The cache's budget -------------------------------------------------------------------

// Samples the cache's size from its construction to Stop.
class CacheWatcher {
 public:
  explicit CacheWatcher(const MaskCache& cache)
      : thread_([this, &cache] {
          do {
            most_ = std::max(most_, cache.bytes());
            std::this_thread::yield();
          } while (!stop_);
        }) {}
  ~CacheWatcher() { Stop(); }
  CacheWatcher(const CacheWatcher&) = delete;
  CacheWatcher& operator=(const CacheWatcher&) = delete;

  // Returns the largest size seen.
  std::size_t Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return most_;
  }

 private:
  std::size_t most_ = 0;  // Read when the thread has ended.
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(EngineCacheTest, EvictedMasksAreMadeAgainWithinTheBudget) {
  constexpr std::size_t kElements = std::size_t{1} << 18;  // 1 MiB of float32.
  const std::uint64_t steps = kSanitized ? 100 : 1000;
  Limits limits;
  limits.mask_cache_bytes = std::size_t{1} << 20;
  TestEngine engine(limits);
  const LayerConfig config = MakeLayer("l", 0.25);
  ASSERT_TRUE(engine.CreateSession(MakeSpec("s", kSeed, {config})).ok());
  CacheWatcher watcher(engine.mask_cache());
  const Shape shape = MakeShape({64, kElements / 64});
  const std::vector<float> x = MakeValues(kElements, 1);
  std::vector<float> y(kElements);
  const auto expected = [&](std::uint64_t step) {
    return ReferenceMasked(ReferenceBits(kSeed, config, step, 0, shape), 0.25, x);
  };

  for (std::uint64_t step = 0; step < steps; ++step) {
    const Place at{"s", "l", step};
    ASSERT_TRUE(
        engine.Forward(at.Ref(), {DataType::kFloat32, shape, x.data()}, y.data(), false).ok());
    ASSERT_EQ(y, expected(step)) << "Forward of step " << step;
    ASSERT_LE(engine.mask_cache().bytes(), limits.mask_cache_bytes);
  }
  // The cache is full: a mask of 32 KiB more would not fit.
  EXPECT_GT(engine.mask_cache().bytes(), limits.mask_cache_bytes - kElements / 8 - 1000);

  std::vector<std::uint64_t> order(steps);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(20140615));
  for (const std::uint64_t step : order) {
    const Place at{"s", "l", step};
    ASSERT_TRUE(
        engine.Backward(at.Ref(), {DataType::kFloat32, shape, x.data()}, y.data(), false).ok());
    ASSERT_EQ(y, expected(step)) << "Backward of step " << step;
    ASSERT_LE(engine.mask_cache().bytes(), limits.mask_cache_bytes);
  }
  EXPECT_LE(watcher.Stop(), limits.mask_cache_bytes);
  EXPECT_EQ(*engine.ReleaseSteps("s", "l", steps), steps);
  EXPECT_EQ(engine.mask_cache().bytes(), 0u);
}

TEST(EngineCacheTest, WorksWithoutACache) {
  Limits limits;
  limits.mask_cache_bytes = 0;
  TestEngine engine(limits);
  const LayerConfig config = MakeLayer("l", 0.5);
  ASSERT_TRUE(engine.CreateSession(MakeSpec("s", kSeed, {config})).ok());
  const Shape shape = MakeShape({100});
  const std::vector<float> x = MakeValues(100, 1);
  const auto expected = ReferenceMasked(ReferenceBits(kSeed, config, 7, 0, shape), 0.5, x);
  EXPECT_EQ(RunForward(engine, {"s", "l", 7}, shape, x)->y, expected);
  EXPECT_EQ(*RunBackward(engine, {"s", "l", 7}, shape, x), expected);
  EXPECT_EQ(engine.mask_cache().bytes(), 0u);
}

}  // namespace
}  // namespace dropoutd
