// Many threads with all kinds of calls. Results are checked wherever they are determined.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/engine/engine.h"
#include "tests/engine/manual_clock.h"
#include "tests/engine/support.h"
#include "tests/engine/test_engine.h"

namespace dropoutd {
namespace {

constexpr int kThreads = 32;
constexpr int kCalls = kSanitized ? 150 : 2000;  // Of each thread.
constexpr std::uint64_t kSeed = 4711;
constexpr std::size_t kCount = 999;
constexpr std::uint64_t kSteps = 16;
constexpr double kPs[] = {0.25, 0.5};
constexpr int kSharedSessions = 3;
constexpr const char* kSharedLayers[] = {"a", "b"};

// The masks of every (layer, p, step) that the threads use, drawn beforehand.
class Reference {
 public:
  Reference() {
    for (const char* const layer : kSharedLayers) {
      for (const double p : kPs) {
        for (std::uint64_t step = 0; step < kSteps; ++step) {
          masks_.try_emplace({layer, p, step},
                             ReferenceBits(kSeed, MakeLayer(layer, p), step, 0, shape));
        }
      }
    }
  }

  const PackedBits& Bits(const std::string& layer, double p, std::uint64_t step) const {
    return masks_.at({layer, p, step});
  }

  std::vector<float> Masked(const std::string& layer, double p, std::uint64_t step) const {
    return ReferenceMasked(Bits(layer, p, step), p, x);
  }

  // Whether y is x masked with one of the p's, or x itself.
  bool IsPossible(const std::string& layer, std::uint64_t step, const std::vector<float>& y) const {
    return y == x || std::any_of(std::begin(kPs), std::end(kPs),
                                 [&](double p) { return y == Masked(layer, p, step); });
  }

  const Shape shape = MakeShape({27, 37});
  const std::vector<float> x = MakeValues(kCount, 1);

 private:
  std::map<std::tuple<std::string, double, std::uint64_t>, PackedBits> masks_;
};

// One thread's calls.
class Worker {
 public:
  Worker(Engine& engine, const Reference& reference, int index)
      : engine_(engine),
        reference_(reference),
        own_session_(absl::StrCat("own", index)),
        random_(static_cast<unsigned>(index)) {}

  void Run() {
    for (int call = 0; call < kCalls && !testing::Test::HasFailure(); ++call) {
      switch (Below(12)) {
        case 0:
        case 1:
        case 2:
          SharedForward();
          break;
        case 3:
        case 4:
          SharedBackward();
          break;
        case 5:
          SharedGetMask();
          break;
        case 6:
          ChangeShared();
          break;
        case 7:
          SharedStream();
          break;
        case 8:
          ChurnLayer();
          break;
        case 9:
        case 10:
          OwnSession();
          break;
        case 11:
          Overlook();
          break;
      }
    }
  }

 private:
  std::uint64_t Below(std::uint64_t end) { return random_() % end; }

  std::string SharedSession() { return absl::StrCat("shared", Below(kSharedSessions)); }

  // A random step of a random layer that all threads use.
  Place SharedPlace() {
    return {SharedSession(), kSharedLayers[Below(std::size(kSharedLayers))], Below(kSteps)};
  }

  void SharedForward() {
    const Place at = SharedPlace();
    const auto answer = RunForward(engine_, at, reference_.shape, reference_.x);
    ASSERT_TRUE(answer.ok()) << answer.status();
    const ForwardOutcome& outcome = answer->outcome;
    if (outcome.mode == Mode::kEval) {
      ASSERT_EQ(answer->y, reference_.x);
    } else {
      ASSERT_EQ(answer->y, reference_.Masked(at.layer_id, outcome.p, *at.step));
      ASSERT_EQ(outcome.mask->bits->bytes(),
                reference_.Bits(at.layer_id, outcome.p, *at.step).bytes());
    }
  }

  void SharedBackward() {
    const Place at = SharedPlace();
    const auto dx =
        RunBackward(engine_, at, reference_.shape, reference_.x, /*release=*/Below(4) == 0);
    if (!dx.ok()) {
      ASSERT_EQ(ReasonText(dx), "STEP_NOT_FOUND");
      return;
    }
    ASSERT_TRUE(reference_.IsPossible(at.layer_id, *at.step, *dx));
  }

  void SharedGetMask() {
    const Place at = SharedPlace();
    const auto mask = engine_.GetMask(at.Ref(), reference_.shape);
    ASSERT_TRUE(mask.ok()) << mask.status();
    ASSERT_TRUE(
        reference_.IsPossible(at.layer_id, *at.step,
                              ReferenceMasked(*mask->bits, 1.0 - 1.0 / mask->scale, reference_.x)));
  }

  void ChangeShared() {
    const std::string session = SharedSession();
    const std::string layer = kSharedLayers[Below(std::size(kSharedLayers))];
    switch (Below(4)) {
      case 0: {
        const Mode mode = Below(3) == 0 ? Mode::kEval : Mode::kTrain;
        ASSERT_TRUE(engine_.SetMode(session, mode, {layer}).ok());
        break;
      }
      case 1:
        ASSERT_TRUE(engine_.UpdateLayer(session, MakeLayer(layer, kPs[Below(2)])).ok());
        break;
      case 2:
        ASSERT_TRUE(engine_.ReleaseSteps(session, Below(2) == 0 ? layer : "", Below(kSteps)).ok());
        break;
      case 3: {
        const auto view = engine_.GetSession(session);
        ASSERT_TRUE(view.ok()) << view.status();
        ASSERT_EQ(view->seed, kSeed);
        break;
      }
    }
  }

  // A mask of the stream depends on the order of the calls, but it is the one that is said.
  void SharedStream() {
    const Place at{SharedSession(), "stream", Below(kSteps)};
    const auto answer = RunForward(engine_, at, reference_.shape, reference_.x);
    if (!answer.ok()) {
      ASSERT_EQ(ReasonText(answer), "QUOTA_MASK_CACHE");
      return;
    }
    ASSERT_EQ(answer->y, ReferenceMasked(*answer->outcome.mask->bits, 0.5, reference_.x));
  }

  // A layer that other threads make and delete too.
  void ChurnLayer() {
    const std::string session = SharedSession();
    const std::string layer = absl::StrCat("churn", Below(2));
    if (Below(3) == 0) {
      const std::string reason = ReasonText(engine_.DeleteLayer(session, layer));
      ASSERT_TRUE(reason == "OK" || reason == "LAYER_NOT_FOUND") << reason;
      return;
    }
    ASSERT_TRUE(engine_.CreateLayer(session, MakeLayer(layer, 0.5)).ok());
    const auto answer =
        RunForward(engine_, {session, layer, Below(kSteps)}, reference_.shape, reference_.x);
    ASSERT_TRUE(answer.ok() || ReasonText(answer) == "LAYER_NOT_FOUND") << answer.status();
  }

  // A session of this thread's own, where everything is determined.
  void OwnSession() {
    const std::uint64_t step = Below(kSteps);
    const double p = kPs[Below(2)];
    const Place at{own_session_, "a", step};
    ASSERT_TRUE(engine_.CreateSession(MakeSpec(own_session_, kSeed, {})).ok());
    ASSERT_TRUE(engine_.CreateLayer(own_session_, MakeLayer("a", p)).ok());
    const std::vector<float> expected = reference_.Masked("a", p, step);
    const auto answer = RunForward(engine_, at, reference_.shape, reference_.x);
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_EQ(answer->y, expected);
    ASSERT_EQ(*engine_.SetMode(own_session_, Mode::kEval, {}), std::vector<std::string>{"a"});
    const auto dx = RunBackward(engine_, at, reference_.shape, reference_.x);
    ASSERT_TRUE(dx.ok()) << dx.status();
    ASSERT_EQ(*dx, expected);
    if (Below(2) == 0) {
      ASSERT_EQ(*engine_.ReleaseSteps(own_session_, "", step), 1u);
    }
    ASSERT_TRUE(engine_.DeleteSession(own_session_).ok());
    ASSERT_EQ(ReasonText(engine_.GetSession(own_session_)), "SESSION_NOT_FOUND");
  }

  void Overlook() {
    engine_.RemoveExpired();
    std::vector<std::string> ids;
    std::string after;
    do {
      const SessionPage page = *engine_.ListSessions(after, 5);
      for (const SessionView& session : page.sessions) ids.push_back(session.session_id);
      after = page.next;
    } while (!after.empty());
    ASSERT_TRUE(std::is_sorted(ids.begin(), ids.end()));
    ASSERT_TRUE(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
    for (int i = 0; i < kSharedSessions; ++i) {
      ASSERT_TRUE(std::binary_search(ids.begin(), ids.end(), absl::StrCat("shared", i)));
    }
  }

  Engine& engine_;
  const Reference& reference_;
  const std::string own_session_;
  std::mt19937 random_;
};

TEST(EngineThreadsTest, ManyThreadsOnSharedAndOnOwnSessions) {
  Limits limits;
  // Room for some of the masks, so that others are evicted and made again.
  limits.mask_cache_bytes = 40 * (kCount / 8 + 1 + MaskCache::kEntryOverhead);
  TestEngine engine(limits);
  const Reference reference;
  for (int i = 0; i < kSharedSessions; ++i) {
    ASSERT_TRUE(engine
                    .CreateSession(MakeSpec(absl::StrCat("shared", i), kSeed,
                                            {MakeLayer("a", 0.5), MakeLayer("b", 0.25),
                                             MakeLayer("stream", 0.5, Generator::kNumpyLegacy)}))
                    .ok());
  }
  std::atomic<int> working{kThreads};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      Worker(engine, reference, i).Run();
      --working;
    });
  }
  std::size_t most = 0;
  while (working > 0) {
    most = std::max(most, engine.mask_cache().bytes());
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_LE(most, limits.mask_cache_bytes);
  EXPECT_GT(most, limits.mask_cache_bytes / 2);
  EXPECT_EQ(engine.ListSessions("", 100)->sessions.size(), std::size_t{kSharedSessions});
  for (int i = 0; i < kSharedSessions; ++i) {
    ASSERT_TRUE(engine.DeleteSession(absl::StrCat("shared", i)).ok());
  }
  EXPECT_EQ(engine.mask_cache().bytes(), 0u);
}

// Sessions expire under the hands of those that use them.
TEST(EngineThreadsTest, ManyThreadsWhileSessionsExpire) {
  constexpr int kSessions = 4;
  const Reference reference;
  ManualClock clock;
  TestEngine engine(Limits(), clock);
  const auto run = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int call = 0; call < kCalls && !testing::Test::HasFailure(); ++call) {
      const std::string session = absl::StrCat("s", random() % kSessions);
      const Place at{session, "a", random() % kSteps};
      if (random() % 8 == 0) clock.Advance(engine.limits().default_ttl / 2);
      if (random() % 8 == 0) engine.RemoveExpired();
      ASSERT_TRUE(engine.CreateSession(MakeSpec(session, kSeed, {MakeLayer("a", 0.5)})).ok());
      const auto answer = RunForward(engine, at, reference.shape, reference.x);
      if (answer.ok()) {
        ASSERT_EQ(answer->y, reference.Masked("a", 0.5, *at.step));
      } else {
        ASSERT_EQ(ReasonText(answer), "SESSION_NOT_FOUND");
      }
      const auto dx = RunBackward(engine, at, reference.shape, reference.x);
      if (dx.ok()) {
        ASSERT_EQ(*dx, reference.Masked("a", 0.5, *at.step));
      } else {
        const std::string reason = ReasonText(dx);
        ASSERT_TRUE(reason == "SESSION_NOT_FOUND" || reason == "STEP_NOT_FOUND") << reason;
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < kThreads; ++seed) threads.emplace_back(run, seed);
  for (std::thread& thread : threads) thread.join();

  clock.Advance(2 * engine.limits().default_ttl);  // A store keeps them a little longer.
  engine.RemoveExpired();
  EXPECT_EQ(engine.ListSessions("", 10)->sessions.size(), 0u);
  // The engine's own thread may still be giving back what it took out.
  while (engine.mask_cache().bytes() != 0) std::this_thread::yield();
}

}  // namespace
}  // namespace dropoutd
