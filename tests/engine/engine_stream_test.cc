// Forward, Backward and GetMask with NUMPY_LEGACY, whose masks come from a stream that the
// session's layers share.
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "server/engine/engine.h"
#include "server/random/numpy_legacy.h"
#include "tests/engine/support.h"
#include "tests/engine/test_engine.h"

namespace dropoutd {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr double kP = 0.5;
constexpr std::size_t kMaskBytes = 125;
constexpr std::size_t kMaskCost = kMaskBytes + MaskCache::kEntryOverhead;
constexpr std::uint64_t kLastStep = std::numeric_limits<std::uint64_t>::max();

// The mask as text: 1 for kept.
std::string Text(const PackedBits& bits) {
  std::string text;
  for (std::size_t i = 0; i < bits.count(); ++i) text += BitAt(bits, i) ? '1' : '0';
  return text;
}

class EngineStreamTest : public testing::Test {
 protected:
  EngineStreamTest() {
    EXPECT_TRUE(
        engine_
            .CreateSession(MakeSpec("s", kSeed, {Numpy("a"), Numpy("b"), MakeLayer("philox", kP)}))
            .ok());
  }

  static Limits SmallLimits() {
    Limits limits;
    limits.mask_cache_bytes = 4 * kMaskCost;
    limits.max_steps_per_layer = 6;
    return limits;
  }

  static LayerConfig Numpy(std::string layer_id) {
    return MakeLayer(std::move(layer_id), kP, Generator::kNumpyLegacy);
  }

  // The mask of a Forward of `count` elements, as text, or the error's reason.
  std::string Forward(const std::string& layer_id, std::uint64_t step, std::size_t count) {
    const std::vector<float> x = MakeValues(count, 1);
    const Shape shape = MakeShape({static_cast<std::int64_t>(count)});
    const auto answer = RunForward(engine_, {"s", layer_id, step}, shape, x);
    if (!answer.ok()) return ReasonText(answer.status());
    const PackedBits& bits = *answer->outcome.mask->bits;
    EXPECT_EQ(answer->y, ReferenceMasked(bits, kP, x));
    return Text(bits);
  }

  // Backward's mask, as text, read off its result.
  std::string Backward(const std::string& layer_id, std::uint64_t step, std::size_t count,
                       bool release = false) {
    const Shape shape = MakeShape({static_cast<std::int64_t>(count)});
    const auto dx = RunBackward(engine_, {"s", layer_id, step}, shape,
                                std::vector<float>(count, 1.0f), release);
    if (!dx.ok()) return ReasonText(dx.status());
    std::string text;
    for (const float value : *dx) text += value == 2.0f ? '1' : value == 0.0f ? '0' : '?';
    return text;
  }

  // The next `count` bits of the stream as NumPy has it.
  std::string Next(std::size_t count) {
    PackedBits bits(count);
    reference_.KeepBits(kP, count, bits.data());
    return Text(bits);
  }

  TestEngine engine_{SmallLimits()};
  NumpyLegacyStream reference_{kSeed};
};

// np.random.seed(1); np.random.rand(4, 5) > 0.5, then np.random.rand(3) > 0.5.
TEST_F(EngineStreamTest, TheStreamIsNumpys) {
  EXPECT_EQ(Forward("a", 0, 20),
            "01000"
            "00001"
            "01010"
            "10100");
  EXPECT_EQ(Forward("b", 0, 3), "110");
}

TEST_F(EngineStreamTest, LayersDrawInTheOrderOfTheCalls) {
  EXPECT_EQ(Forward("b", 7, 10), Next(10));
  EXPECT_EQ(Forward("a", 7, 7), Next(7));
  EXPECT_EQ(Forward("b", 3, 9), Next(9));
  // A counter-based layer draws elsewhere.
  Forward("philox", 1, 100);
  EXPECT_EQ(Forward("a", 8, 5), Next(5));
}

TEST_F(EngineStreamTest, EverySessionHasItsOwnStream) {
  EXPECT_EQ(Forward("a", 0, 10), Next(10));
  ASSERT_TRUE(engine_.CreateSession(MakeSpec("t", kSeed, {Numpy("a")})).ok());
  const auto answer =
      RunForward(engine_, {"t", "a", 5}, MakeShape({10}), std::vector<float>(10, 1.0f));
  NumpyLegacyStream other(kSeed);
  PackedBits expected(10);
  other.KeepBits(kP, 10, expected.data());
  EXPECT_EQ(answer->outcome.mask->bits->bytes(), expected.bytes());
}

TEST_F(EngineStreamTest, ARepeatedStepDrawsNothing) {
  const std::string first = Next(10);
  EXPECT_EQ(Forward("a", 0, 10), first);
  EXPECT_EQ(Forward("a", 0, 10), first);
  EXPECT_EQ(Backward("a", 0, 10), first);
  EXPECT_EQ(Forward("a", 0, 10), first);
  EXPECT_EQ(Forward("a", 1, 10), Next(10));
  EXPECT_EQ(Forward("a", 0, 10), first);
}

TEST_F(EngineStreamTest, ARepeatedStepOfAnotherShapeDraws) {
  EXPECT_EQ(Forward("a", 0, 10), Next(10));
  const std::string second = Next(12);
  EXPECT_EQ(Forward("a", 0, 12), second);
  EXPECT_EQ(Backward("a", 0, 10), "SHAPE_MISMATCH");
  EXPECT_EQ(Backward("a", 0, 12), second);
}

TEST_F(EngineStreamTest, AReleasedStepDrawsAnew) {
  const std::string first = Next(10);
  EXPECT_EQ(Forward("a", 0, 10), first);
  EXPECT_EQ(Backward("a", 0, 10, /*release=*/true), first);
  EXPECT_EQ(Backward("a", 0, 10), "STEP_NOT_FOUND");
  EXPECT_EQ(engine_.mask_cache().bytes(), 0u);
  EXPECT_EQ(Forward("a", 0, 10), Next(10));
}

TEST_F(EngineStreamTest, EvalAndPZeroDrawNothing) {
  ASSERT_TRUE(engine_.SetMode("s", Mode::kEval, {}).ok());
  const std::vector<float> x = MakeValues(10, 1);
  EXPECT_EQ(RunForward(engine_, {"s", "a", 0}, MakeShape({10}), x)->y, x);
  ASSERT_TRUE(engine_.SetMode("s", Mode::kTrain, {}).ok());
  ASSERT_TRUE(engine_.UpdateLayer("s", MakeLayer("b", 0.0, Generator::kNumpyLegacy)).ok());
  EXPECT_EQ(RunForward(engine_, {"s", "b", 0}, MakeShape({10}), x)->y, x);
  EXPECT_EQ(engine_.mask_cache().bytes(), 0u);
  // Also where the step has an eval record by now.
  EXPECT_EQ(Forward("a", 0, 10), Next(10));
}

TEST_F(EngineStreamTest, BackwardObeysTheRecord) {
  const std::string first = Next(10);
  EXPECT_EQ(Forward("a", 0, 10), first);
  ASSERT_TRUE(engine_.UpdateLayer("s", MakeLayer("a", 0.25)).ok());
  EXPECT_EQ(Backward("a", 0, 10), first);
  ASSERT_TRUE(engine_.SetMode("s", Mode::kEval, {}).ok());
  EXPECT_EQ(Backward("a", 0, 10), first);
}

TEST_F(EngineStreamTest, ThereIsNoMaskBeforeItsForward) {
  const Place at{"s", "a", 0};
  EXPECT_EQ(ReasonText(engine_.GetMask(at.Ref(), MakeShape({10}))), "STEP_NOT_FOUND");
  const std::string first = Next(10);
  EXPECT_EQ(Forward("a", 0, 10), first);
  EXPECT_EQ(Text(*engine_.GetMask(at.Ref(), std::nullopt)->bits), first);
  EXPECT_EQ(Text(*engine_.GetMask(at.Ref(), MakeShape({10}))->bits), first);
  EXPECT_EQ(ReasonText(engine_.GetMask(at.Ref(), MakeShape({12}))), "STEP_NOT_FOUND");
  EXPECT_EQ(Forward("a", 1, 10), Next(10));
}

// --- Quotas -------------------------------------------------------------------------------

TEST_F(EngineStreamTest, ItsMasksAreNeverEvicted) {
  std::vector<std::string> masks;
  for (std::uint64_t step = 0; step < 3; ++step) {
    masks.push_back(Next(8 * kMaskBytes));
    EXPECT_EQ(Forward("a", step, 8 * kMaskBytes), masks.back());
  }
  for (std::uint64_t step = 0; step < 6; ++step) {
    Forward("philox", step, 8 * kMaskBytes);
    EXPECT_EQ(engine_.mask_cache().bytes(), 4 * kMaskCost);
  }
  for (std::uint64_t step = 0; step < 3; ++step) {
    EXPECT_EQ(Backward("a", step, 8 * kMaskBytes), masks[step]);
  }
}

TEST_F(EngineStreamTest, TheCachesBudgetIsAQuota) {
  if (engine_.is_stored()) GTEST_SKIP() << "a store holds the masks";
  Forward("philox", 0, 8 * kMaskBytes);
  for (std::uint64_t step = 0; step < 4; ++step) {
    EXPECT_EQ(Forward("a", step, 8 * kMaskBytes), Next(8 * kMaskBytes));
  }
  EXPECT_EQ(Forward("a", 4, 8 * kMaskBytes), "QUOTA_MASK_CACHE");
  EXPECT_EQ(Forward("b", 0, 1), "QUOTA_MASK_CACHE");
  EXPECT_EQ(Backward("a", 4, 8 * kMaskBytes), "STEP_NOT_FOUND");
  EXPECT_EQ(engine_.mask_cache().bytes(), 4 * kMaskCost);
  ASSERT_EQ(*engine_.ReleaseSteps("s", "a", 0), 1u);
  // The calls that failed have drawn nothing.
  EXPECT_EQ(Forward("a", 4, 8 * kMaskBytes), Next(8 * kMaskBytes));
}

TEST_F(EngineStreamTest, OverAStoreTheCacheRefusesNoMask) {
  if (!engine_.is_stored()) GTEST_SKIP() << "the masks are here alone";
  std::vector<std::string> masks;
  for (std::uint64_t step = 0; step < 6; ++step) {
    masks.push_back(Next(8 * kMaskBytes));
    EXPECT_EQ(Forward("a", step, 8 * kMaskBytes), masks.back());
    EXPECT_LE(engine_.mask_cache().bytes(), 4 * kMaskCost);
  }
  for (std::uint64_t step = 0; step < 6; ++step) {
    EXPECT_EQ(Backward("a", step, 8 * kMaskBytes), masks[step]) << "evicted and read again";
  }
  EXPECT_EQ(engine_.mask_cache().reserved(), 0u);
}

// A limit of steps that is reached before the cache's.
class EngineStreamStepsTest : public EngineStreamTest {
 protected:
  EngineStreamStepsTest() {
    Limits limits;
    limits.max_steps_per_layer = 3;
    limits.mask_cache_bytes = 10 * kMaskCost;
    few_ = std::make_unique<TestEngine>(limits);
    EXPECT_TRUE(few_->CreateSession(MakeSpec("s", kSeed, {Numpy("a"), Numpy("b")})).ok());
  }

  std::string ForwardFew(const std::string& layer_id, std::uint64_t step, std::size_t count) {
    const auto answer =
        RunForward(*few_, {"s", layer_id, step}, MakeShape({static_cast<std::int64_t>(count)}),
                   std::vector<float>(count, 1.0f));
    return answer.ok() ? Text(*answer->outcome.mask->bits) : ReasonText(answer.status());
  }

  std::unique_ptr<TestEngine> few_;
};

TEST_F(EngineStreamStepsTest, FailingCallsDrawNothingAndReserveNothing) {
  for (std::uint64_t step = 0; step < 3; ++step) EXPECT_EQ(ForwardFew("a", step, 5), Next(5));
  const std::size_t bytes = few_->mask_cache().bytes();
  EXPECT_EQ(ForwardFew("a", 3, 5), "QUOTA_STEPS");
  EXPECT_EQ(few_->mask_cache().bytes(), bytes);
  EXPECT_EQ(ForwardFew("b", 0, 5), Next(5));
  ASSERT_EQ(*few_->ReleaseSteps("s", "a", 1), 2u);
  EXPECT_EQ(ForwardFew("a", 3, 5), Next(5));
}

TEST_F(EngineStreamStepsTest, AFailingCallForgetsNoStep) {
  // Steps of a counter-based generator, as many as the layer may have.
  ASSERT_TRUE(few_->UpdateLayer("s", MakeLayer("a", kP)).ok());
  for (std::uint64_t step = 0; step < 3; ++step) ForwardFew("a", step, 5);
  ASSERT_TRUE(few_->UpdateLayer("s", Numpy("a")).ok());
  // In a store records are neither forgotten to make room nor limited by the cache.
  EXPECT_EQ(ForwardFew("a", 3, 8 * 11 * kMaskCost),
            few_->is_stored() ? "QUOTA_STEPS" : "QUOTA_MASK_CACHE");
  EXPECT_EQ(*few_->ReleaseSteps("s", "a", kLastStep), 3u);
}

// Far more steps than the layer may have: the store's records count, not what is here.
TEST_F(EngineStreamStepsTest, ALayerHasNoMoreStepsThanAllowed) {
  std::size_t refused = 0;
  for (std::uint64_t step = 0; step < 300; ++step) {
    if (ForwardFew("a", step, 5) == "QUOTA_STEPS") ++refused;
  }
  EXPECT_EQ(refused, 297u);
  EXPECT_EQ(*few_->ReleaseSteps("s", "a", kLastStep), 3u);
}

// --- Threads ------------------------------------------------------------------------------

TEST(EngineStreamThreadsTest, TwinsDrawOnce) {
  constexpr int kThreads = 4;
  constexpr std::size_t kCount = 300;
  const std::uint64_t steps = kSanitized ? 50 : 500;
  TestEngine engine{Limits()};
  ASSERT_TRUE(
      engine.CreateSession(MakeSpec("s", kSeed, {MakeLayer("a", kP, Generator::kNumpyLegacy)}))
          .ok());
  // Every thread asks for step n + 1 only after step n, so the order of the draws is known.
  std::vector<std::vector<std::string>> masks(kThreads);
  std::vector<std::thread> threads;
  for (auto& own : masks) {
    threads.emplace_back([&] {
      const std::vector<float> x(kCount, 1.0f);
      for (std::uint64_t step = 0; step < steps; ++step) {
        const auto answer = RunForward(engine, {"s", "a", step}, MakeShape({kCount}), x);
        own.push_back(answer.ok() ? Text(*answer->outcome.mask->bits)
                                  : ReasonText(answer.status()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  NumpyLegacyStream reference(kSeed);
  for (std::uint64_t step = 0; step < steps; ++step) {
    PackedBits expected(kCount);
    reference.KeepBits(kP, kCount, expected.data());
    for (const auto& own : masks) ASSERT_EQ(own[step], Text(expected)) << "step " << step;
  }
}

// A call waits for its turn in the stream. What it does then is what the layer was when the
// call began, or what it is by then, but never a mixture.
TEST(EngineStreamThreadsTest, ALayerThatChangesMeanwhileIsNeverHalfApplied) {
  constexpr int kThreads = 3;
  constexpr std::size_t kCount = 2000;
  const std::uint64_t steps = kSanitized ? 300 : 3000;
  const Shape shape = MakeShape({kCount});
  const std::vector<float> x = MakeValues(kCount, 1);
  TestEngine engine{Limits()};
  const LayerConfig numpy = MakeLayer("a", kP, Generator::kNumpyLegacy);
  const LayerConfig philox = MakeLayer("a", 0.25);
  ASSERT_TRUE(engine.CreateSession(MakeSpec("s", kSeed, {numpy})).ok());

  std::atomic<int> working{kThreads};
  std::vector<std::thread> threads;
  for (std::uint64_t first = 0; first < kThreads; ++first) {
    threads.emplace_back([&, first] {
      for (std::uint64_t step = first; step < steps * kThreads; step += kThreads) {
        const Place at{"s", "a", step};
        const auto answer = RunForward(engine, at, shape, x);
        EXPECT_TRUE(answer.ok()) << answer.status();
        if (!answer.ok()) break;
        const MaskView& mask = *answer->outcome.mask;
        const bool all_kept = mask.bits->bytes() == PackedBits::AllKept(kCount).bytes();
        EXPECT_EQ(all_kept, answer->outcome.mode == Mode::kEval) << "step " << step;
        if (answer->outcome.mode == Mode::kTrain) {
          EXPECT_EQ(answer->y, ReferenceMasked(*mask.bits, answer->outcome.p, x));
        } else {
          EXPECT_EQ(answer->y, x);
        }
        if (answer->outcome.p == philox.p && !all_kept) {
          EXPECT_EQ(mask.bits->bytes(), ReferenceBits(kSeed, philox, step, 0, shape).bytes());
        }
        const auto dx = RunBackward(engine, at, shape, x, /*release=*/true);
        EXPECT_TRUE(dx.ok()) << dx.status();
        if (!dx.ok()) break;
        EXPECT_EQ(*dx, answer->y) << "step " << step;
      }
      --working;
    });
  }
  for (unsigned turn = 0; working > 0; ++turn) {
    EXPECT_TRUE(engine.UpdateLayer("s", turn % 4 < 2 ? numpy : philox).ok());
    EXPECT_TRUE(engine.SetMode("s", turn % 2 == 0 ? Mode::kTrain : Mode::kEval, {}).ok());
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(engine.mask_cache().bytes(), 0u);
}

}  // namespace
}  // namespace dropoutd
