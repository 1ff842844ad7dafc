// What every repository promises: in memory alone, over a store of the server's own, and over one
// that others share.
#include "server/persistence/repository.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/persistence/field_names.h"
#include "server/store/memory_store.h"
#include "tests/persistence/test_server.h"

namespace dropoutd {
namespace {

using Ids = std::vector<std::string>;

enum class Kept { kHere, kInOwnStore, kInSharedStore };

class RepositoryTest : public testing::TestWithParam<Kept> {
 protected:
  RepositoryTest() {
    if (GetParam() == Kept::kHere) return;
    store_ = std::make_unique<MemoryStore>([this] { return clock_.Now(); },
                                           GetParam() == Kept::kInSharedStore);
  }

  bool is_stored() const { return store_ != nullptr; }

  // A server, in place of the one there was.
  TestServer& Serve(const Limits& limits = {}) {
    server_ = std::make_unique<TestServer>(store_.get(), clock_, limits);
    return *server_;
  }

  static Ids KeysOf(const SessionList& list) {
    Ids keys;
    for (const SessionView& each : list.sessions) keys.push_back(each.session_id);
    return keys;
  }

  ManualClock clock_;
  std::unique_ptr<MemoryStore> store_;
  std::unique_ptr<TestServer> server_;
};

INSTANTIATE_TEST_SUITE_P(Kept, RepositoryTest,
                         testing::Values(Kept::kHere, Kept::kInOwnStore, Kept::kInSharedStore));

// --- Sessions -----------------------------------------------------------------------------------

TEST_P(RepositoryTest, ASessionIsThereUntilItIsDeleted) {
  TestServer& server = Serve();
  Repository& repository = server.repository();
  EXPECT_EQ(ReasonText(repository.Find("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(ReasonText(repository.Delete("s")), "SESSION_NOT_FOUND");
  const auto made = server.Create("s", {MakeLayer("a", 0.5)});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(repository.Find("s")->session, made->session);
  EXPECT_EQ(server.Create("s", {MakeLayer("a", 0.5)})->session, made->session);
  EXPECT_EQ(ReasonText(server.Create("s", {MakeLayer("a", 0.25)})), "SESSION_EXISTS");
  EXPECT_EQ(ReasonText(repository.Delete("s")), "OK");
  EXPECT_EQ(ReasonText(repository.Delete("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(ReasonText(repository.Find("s")), "SESSION_NOT_FOUND");
  const auto again = server.Create("s", {MakeLayer("a", 0.25)});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(again->session->incarnation(), made->session->incarnation());
}

TEST_P(RepositoryTest, ASessionEndsUnlessItIsRenewed) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {}).ok());
  ASSERT_TRUE(server.Create("t", {}).ok());
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(kTestTtl * 2 / 3);
    EXPECT_EQ(ReasonText(server.repository().Find("s")), "OK");
  }
  EXPECT_EQ(ReasonText(server.repository().Find("t")), "SESSION_NOT_FOUND");
  clock_.Advance(kTestTtl * 9 / 8);
  server.repository().Sweep();
  EXPECT_EQ(server.registry().size(), 0u);
  EXPECT_EQ(ReasonText(server.repository().Find("s")), "SESSION_NOT_FOUND");
}

TEST_P(RepositoryTest, ListsOneTenantInPagesAndRenewsNone) {
  TestServer& server = Serve();
  for (const char* const key : {"a/x", "b/z", "b/y", "b/w", "c/x"}) {
    ASSERT_TRUE(server.Create(key, {}).ok());
  }
  const auto first = server.repository().List("b/", 2);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(KeysOf(*first), (Ids{"b/w", "b/y"}));
  EXPECT_EQ(KeysOf(*server.repository().List(first->last, 2)), Ids{"b/z"});
  clock_.Advance(kTestTtl / 2);
  EXPECT_EQ(KeysOf(*server.repository().List("b/", 9)), (Ids{"b/w", "b/y", "b/z"}));
  clock_.Advance(kTestTtl);
  EXPECT_EQ(KeysOf(*server.repository().List("b/", 9)), Ids{});
}

TEST_P(RepositoryTest, SessionsAreCountedInAllAndForEachTenant) {
  Limits limits;
  limits.max_sessions = 4;
  limits.tenant_max_sessions = 3;
  TestServer& server = Serve(limits);
  for (const char* const key : {"a/1", "a/2", "a/3"}) ASSERT_TRUE(server.Create(key, {}).ok());
  EXPECT_EQ(ReasonText(server.Create("a/4", {})), "QUOTA_SESSIONS");
  EXPECT_EQ(ReasonText(server.Create("a/3", {})), "OK");  // A retry makes none.
  EXPECT_EQ(ReasonText(server.Create("b/1", {})), "OK");
  EXPECT_EQ(ReasonText(server.Create("b/2", {})), "QUOTA_SESSIONS");
  ASSERT_TRUE(server.repository().Delete("a/1").ok());
  EXPECT_EQ(ReasonText(server.Create("b/2", {})), "OK");
  // What has expired does not count.
  clock_.Advance(2 * kTestTtl);
  for (const char* const key : {"a/1", "a/2", "a/3"}) {
    EXPECT_EQ(ReasonText(server.Create(key, {})), "OK") << key;
  }
}

// --- Changes ------------------------------------------------------------------------------------

TEST_P(RepositoryTest, AChangeIsSeenAndAFailedOneIsNot) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLayer("a", 0.5)}).ok());
  const FoundSession before = server.repository().Find("s").value();
  EXPECT_EQ(ReasonText(server.Update("s", MakeLayer("a", -1))), "INVALID_LAYER");
  EXPECT_EQ(ReasonText(server.Update("s", MakeLayer("x", 0.5))), "LAYER_NOT_FOUND");
  EXPECT_EQ(server.repository().Find("s")->version, before.version);
  EXPECT_EQ(ReasonText(server.Update("s", MakeLayer("a", 0.25))), "OK");
  EXPECT_EQ(server.P("s", "a"), 0.25);
  EXPECT_EQ(before.version->image->layers.at("a")->config->p, 0.5);
  EXPECT_EQ(ReasonText(server.Update("nobody", MakeLayer("a", 0.5))), "SESSION_NOT_FOUND");
}

TEST_P(RepositoryTest, ChangesOfManyThreadsAreAllMade) {
  constexpr int kThreads = 4;
  const int layers = kSanitized ? 10 : 50;
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {}).ok());
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < layers; ++i) {
        const std::string id = absl::StrCat("l", thread, "-", i);
        if (!server.CreateLayer("s", MakeLayer(id, 0.5)).ok()) ++failed;
      }
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(server.repository().Find("s")->version->image->layers.size(),
            static_cast<std::size_t>(kThreads * layers));
}

// --- Steps --------------------------------------------------------------------------------------

TEST_P(RepositoryTest, ARecordIsFoundUntilItIsReleased) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLayer("a", 0.5), MakeLayer("b", 0.5)}).ok());
  const StepKey step{7, 0, 0};
  EXPECT_EQ(server.RecordedP("s", "a", step), TestServer::kNoRecord);
  ASSERT_EQ(ReasonText(server.Forward("s", "a", step)), "OK");
  EXPECT_EQ(server.RecordedP("s", "a", step), 0.5);
  EXPECT_EQ(server.RecordedP("s", "b", step), TestServer::kNoRecord);
  EXPECT_EQ(server.RecordedP("s", "a", {7, 1, 0}), TestServer::kNoRecord);
  // An update is not for steps that have run.
  ASSERT_TRUE(server.Update("s", MakeLayer("a", 0.25)).ok());
  EXPECT_EQ(server.RecordedP("s", "a", step), 0.5);
  ASSERT_EQ(ReasonText(server.Forward("s", "a", step)), "OK");
  EXPECT_EQ(server.RecordedP("s", "a", step), 0.25);
  ASSERT_EQ(ReasonText(server.Release("s", "a", step)), "OK");
  EXPECT_EQ(server.RecordedP("s", "a", step), TestServer::kNoRecord);
  ASSERT_EQ(ReasonText(server.Forward("s", "a", step)), "OK");
  EXPECT_EQ(server.RecordedP("s", "a", step), 0.25);
}

TEST_P(RepositoryTest, KeepLeavesARecordThatIsThere) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLayer("a", 0.5)}).ok());
  const StepKey step{7, 0, 0};
  const StepPlace before = server.repository().FindStep("s", "a", step, false).value();
  ASSERT_EQ(ReasonText(server.WriteAt(before, IfPresent::kKeep)), "OK");
  ASSERT_TRUE(server.Update("s", MakeLayer("a", 0.25)).ok());
  const StepPlace after = server.repository().FindStep("s", "a", step, false).value();
  ASSERT_EQ(ReasonText(server.WriteAt(after, IfPresent::kKeep)), "OK");
  EXPECT_EQ(server.RecordedP("s", "a", step), 0.5);
  // Where it was released there is none to keep.
  ASSERT_EQ(ReasonText(server.Release("s", "a", step)), "OK");
  ASSERT_EQ(ReasonText(server.WriteAt(after, IfPresent::kKeep)), "OK");
  EXPECT_EQ(server.RecordedP("s", "a", step), 0.25);
}

// A call that began before a change of another layer writes what it began with.
TEST_P(RepositoryTest, ARecordIsOfTheLayerAsTheCallFoundIt) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLayer("a", 0.5)}).ok());
  const StepKey step{7, 0, 0};
  const StepPlace place = server.repository().FindStep("s", "a", step, false).value();
  ASSERT_TRUE(server.Update("s", MakeLayer("a", 0.25)).ok());
  ASSERT_EQ(ReasonText(server.WriteAt(place)), "OK");
  EXPECT_EQ(server.RecordedP("s", "a", step), 0.5);
}

TEST_P(RepositoryTest, NothingIsWrittenToALayerThatWentOrWasMadeAnew) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLinear("a")}).ok());
  ASSERT_TRUE(server.SetWeight("s", "a").ok());
  const StepKey step{7, 0, 0};
  const StepPlace place = server.repository().FindStep("s", "a", step, false).value();
  ASSERT_TRUE(server.DeleteLayer("s", "a").ok());
  EXPECT_EQ(ReasonText(server.WriteAt(place)), "LAYER_NOT_FOUND");
  ASSERT_TRUE(server.CreateLayer("s", MakeLinear("a")).ok());
  EXPECT_EQ(ReasonText(server.WriteAt(place)), "LAYER_NOT_FOUND");
  EXPECT_EQ(server.RecordedP("s", "a", step), TestServer::kNoRecord);
  ASSERT_TRUE(server.repository().Delete("s").ok());
  EXPECT_FALSE(server.WriteAt(place).ok() && is_stored());
  ASSERT_TRUE(server.Create("s", {MakeLinear("a")}).ok());
  EXPECT_EQ(server.RecordedP("s", "a", step), TestServer::kNoRecord);
  EXPECT_EQ(server.budgets().inputs().bytes(), 0u);
}

// A layer that goes in the middle of a Forward leaves none of its input behind.
TEST_P(RepositoryTest, ALayerThatGoesTakesItsInputsAlong) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLinear("a")}).ok());
  ASSERT_TRUE(server.SetWeight("s", "a").ok());
  {
    const StepPlace place = server.repository().FindStep("s", "a", StepKey{7, 0, 0}, false).value();
    StepRecord record = TestServer::RecordAt(place.layer);
    const auto input = TestServer::InputAt(place.layer);
    const auto write = server.repository().StartRecord(place, record, input, IfPresent::kReplace);
    ASSERT_TRUE(server.DeleteLayer("s", "a").ok());
    // A store had the record before the layer went.
    EXPECT_EQ(ReasonText(write->Finish(std::move(record), nullptr, input)),
              is_stored() ? "OK" : "LAYER_NOT_FOUND");
  }
  EXPECT_EQ(server.budgets().inputs().bytes(), 0u);
  EXPECT_EQ(server.budgets().parameters().held(), 0u);
  const auto contents = server.repository().Contents("s", 1 << 20);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->fields.size(), 0u);
  if (!is_stored()) return;
  const auto snapshot = store_->Snapshot("s").value();
  EXPECT_EQ(snapshot->Next(10)->size(), 0u);
}

TEST_P(RepositoryTest, ReleasesTheStepsOfOneLayerOrOfAll) {
  TestServer& server = Serve();
  ASSERT_TRUE(
      server.Create("s", {MakeLayer("a", 0.5), MakeLayer("b", 0.5), MakeLayer("c", 0.5)}).ok());
  for (const char* const id : {"a", "b", "c"}) {
    for (std::uint64_t step = 0; step < 5; ++step) {
      ASSERT_TRUE(server.Forward("s", id, {step, 0, 0}).ok());
    }
  }
  Repository& repository = server.repository();
  EXPECT_EQ(*repository.ReleaseSteps("s", "b", 1), 2u);
  EXPECT_EQ(*repository.ReleaseSteps("s", "b", 1), 0u);
  EXPECT_EQ(*repository.ReleaseSteps("s", "", 2), 3u + 1u + 3u);
  EXPECT_EQ(ReasonText(repository.ReleaseSteps("s", "x", 9)), "LAYER_NOT_FOUND");
  EXPECT_EQ(ReasonText(repository.ReleaseSteps("x", "", 9)), "SESSION_NOT_FOUND");
  EXPECT_EQ(server.RecordedP("s", "a", {2, 0, 0}), TestServer::kNoRecord);
  EXPECT_EQ(server.RecordedP("s", "a", {3, 0, 0}), 0.5);
  EXPECT_EQ(*repository.ReleaseSteps("s", "", 9), 6u);
  EXPECT_EQ(server.budgets().steps().held(), 0u);
}

TEST_P(RepositoryTest, ReleasesAnyNumberOfSteps) {
  constexpr std::uint64_t kSteps = 2'500;
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLayer("a", 0.5), MakeLayer("b", 0.5)}).ok());
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    ASSERT_TRUE(server.Forward("s", "a", {step, 0, 0}).ok());
  }
  ASSERT_TRUE(server.Forward("s", "b", {0, 0, 0}).ok());
  EXPECT_EQ(*server.repository().ReleaseSteps("s", "", kSteps - 2), kSteps);
  EXPECT_EQ(server.RecordedP("s", "a", {0, 0, 0}), TestServer::kNoRecord);
  EXPECT_EQ(server.RecordedP("s", "a", {kSteps - 2, 0, 0}), TestServer::kNoRecord);
  EXPECT_EQ(server.RecordedP("s", "a", {kSteps - 1, 0, 0}), 0.5);
  ASSERT_TRUE(server.Forward("s", "a", {0, 0, 0}).ok());
  EXPECT_EQ(server.RecordedP("s", "a", {0, 0, 0}), 0.5);
  EXPECT_EQ(*server.repository().ReleaseSteps("s", "a", kSteps), 2u);
}

// An update of what a layer is keyed by leaves a step where its Forward has put it; a record at the
// layer's own key comes first.
TEST_P(RepositoryTest, AStepAtTheLayersKeyComesBeforeOneThatAnUpdateHasLeft) {
  LayerConfig by_sequence = MakeLayer("v", 0.75);
  by_sequence.options = VariationalOptions();
  const StepKey asked{7, 0, 11};
  TestServer* server = &Serve();
  ASSERT_TRUE(server->Create("s", {MakeLayer("v", 0.5)}).ok());
  ASSERT_TRUE(server->Forward("s", "v", asked).ok());
  if (is_stored()) server = &Serve();  // It is restarted: its books are empty.
  ASSERT_TRUE(server->Update("s", by_sequence).ok());
  EXPECT_EQ(server->RecordedP("s", "v", asked), 0.5);
  ASSERT_TRUE(server->Forward("s", "v", asked).ok());
  EXPECT_EQ(server->RecordedP("s", "v", asked), 0.75);
  ASSERT_TRUE(server->Update("s", MakeLayer("v", 0.25)).ok());
  EXPECT_EQ(server->RecordedP("s", "v", asked), 0.5);
  ASSERT_EQ(ReasonText(server->Release("s", "v", asked)), "OK");
  EXPECT_EQ(server->RecordedP("s", "v", asked), 0.75);
  ASSERT_EQ(ReasonText(server->Release("s", "v", asked)), "OK");
  EXPECT_EQ(server->RecordedP("s", "v", asked), TestServer::kNoRecord);
}

// --- The sequential generator -------------------------------------------------------------------

TEST_P(RepositoryTest, ATwinGetsTheMaskThatWasDrawn) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLayer("n", 0.5, Generator::kNumpyLegacy)}).ok());
  const std::string first = server.Draw("s", "n", {1, 0, 0}).value();
  EXPECT_EQ(server.Draw("s", "n", {1, 0, 0}).value(), first);
  std::set<std::string> masks = {first};
  for (std::uint64_t step = 2; step < 12; ++step) {
    masks.insert(server.Draw("s", "n", {step, 0, 0}).value());
  }
  EXPECT_GT(masks.size(), 5u);
}

TEST_P(RepositoryTest, StepsOfTheSequentialGeneratorAreAQuota) {
  Limits limits;
  limits.max_steps_per_layer = 10;
  TestServer& server = Serve(limits);
  ASSERT_TRUE(server.Create("s", {MakeLayer("n", 0.5, Generator::kNumpyLegacy)}).ok());
  ASSERT_TRUE(server.Create("t", {MakeLayer("n", 0.5, Generator::kNumpyLegacy)}).ok());
  for (std::uint64_t step = 0; step < 10; ++step) {
    ASSERT_EQ(ReasonText(server.Draw("s", "n", {step, 0, 0})), "OK");
    ASSERT_EQ(ReasonText(server.Draw("t", "n", {step, 0, 0})), "OK");
  }
  for (std::uint64_t step = 10; step < 30; ++step) {
    EXPECT_EQ(ReasonText(server.Draw("s", "n", {step, 0, 0})), "QUOTA_STEPS");
  }
  EXPECT_EQ(ReasonText(server.Draw("s", "n", {9, 0, 0})), "OK");  // It is there.
  ASSERT_EQ(*server.repository().ReleaseSteps("s", "n", 0), 1u);
  ASSERT_EQ(*server.repository().ReleaseSteps("t", "n", 0), 1u);
  // What was refused has drawn nothing: both streams stand at the same place.
  EXPECT_EQ(server.Draw("s", "n", {10, 0, 0}).value(), server.Draw("t", "n", {10, 0, 0}).value());
}

TEST_P(RepositoryTest, ThreadsDrawEachMaskOnce) {
  constexpr int kThreads = 4;
  constexpr std::uint64_t kSteps = 20;
  TestServer& server = Serve();
  for (const char* const key : {"s", "t"}) {
    ASSERT_TRUE(server.Create(key, {MakeLayer("n", 0.5, Generator::kNumpyLegacy)}).ok());
  }
  std::vector<std::vector<std::string>> masks(kThreads);
  std::vector<std::thread> threads;
  for (std::vector<std::string>& mine : masks) {
    threads.emplace_back([&] {
      for (std::uint64_t step = 0; step < kSteps; ++step) {
        mine.push_back(server.Draw("s", "n", {step, 0, 0}).value_or("failed"));
      }
    });
  }
  for (std::thread& each : threads) each.join();
  for (const auto& each : masks) EXPECT_EQ(each, masks.front());
  std::vector<std::string> alone;
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    alone.push_back(server.Draw("t", "n", {step, 0, 0}).value());
  }
  EXPECT_EQ(masks.front(), alone);
}

// --- Reading whole ------------------------------------------------------------------------------

TEST_P(RepositoryTest, ContentsAreWholeAndWithinALimit) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLinear("w"), MakeLayer("a", 0.5)}).ok());
  ASSERT_TRUE(server.SetWeight("s", "w", 1).ok());
  ASSERT_TRUE(server.Forward("s", "w", {1, 0, 0}).ok());
  ASSERT_TRUE(server.SetWeight("s", "w", 2).ok());
  ASSERT_TRUE(server.Forward("s", "a", {1, 0, 0}).ok());
  const auto contents = server.repository().Contents("s", 1 << 20);
  ASSERT_TRUE(contents.ok()) << contents.status();
  const auto parts = TakeApart(*contents);
  ASSERT_TRUE(parts.ok()) << parts.status();
  ASSERT_EQ(parts->steps.size(), 2u);
  // The step before the last update has the parameters that were in force.
  EXPECT_EQ(parts->parameters.size(), 2u);
  EXPECT_NE(contents->image.layers.at("w")->parameters, nullptr);
  EXPECT_EQ(ReasonText(server.repository().Contents("s", 100)), "QUOTA_MESSAGE_BYTES");
  EXPECT_EQ(ReasonText(server.repository().Contents("x", 100)), "SESSION_NOT_FOUND");
}

// The steps that were drawn, and the stream that stands behind them.
TEST_P(RepositoryTest, ContentsAreOfOneMoment) {
  const std::uint64_t steps = kSanitized ? 50 : 300;
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLayer("n", 0.5, Generator::kNumpyLegacy)}).ok());
  ASSERT_TRUE(server.Draw("s", "n", {0, 0, 0}).ok());
  std::atomic<bool> done{false};
  std::thread trainer([&] {
    for (std::uint64_t step = 1; step < steps; ++step) {
      EXPECT_TRUE(server.Draw("s", "n", {step, 0, 0}).ok());
    }
    done = true;
  });
  const auto check = [&] {
    const auto contents = server.repository().Contents("s", 1 << 24);
    ASSERT_TRUE(contents.ok()) << contents.status();
    const auto parts = TakeApart(*contents);
    ASSERT_TRUE(parts.ok()) << parts.status();
    SequentialNoise noise(contents->image.seed);
    PackedBits bits(static_cast<std::size_t>(kStepElements));
    for (std::size_t i = 0; i < parts->steps.size(); ++i) noise.Draw(0.5, bits);
    ASSERT_TRUE(parts->stream.has_value());
    EXPECT_EQ(parts->stream->State(), noise.State()) << parts->steps.size();
  };
  do check();
  while (!done && !HasFailure());
  trainer.join();
}

// Updates leave nothing behind when their steps are gone.
TEST_P(RepositoryTest, UpdatesLeaveNothingBehindTheirSteps) {
  TestServer& server = Serve();
  ASSERT_TRUE(server.Create("s", {MakeLayer("a", 0.5)}).ok());
  for (std::uint64_t step = 0; step < 1'000; ++step) {
    ASSERT_TRUE(server.Update("s", MakeLayer("a", step % 2 == 0 ? 0.25 : 0.5)).ok());
    ASSERT_TRUE(server.Forward("s", "a", {step, 0, 0}).ok());
  }
  EXPECT_EQ(*server.repository().ReleaseSteps("s", "", 1'000), 1'000u);
  EXPECT_EQ(server.repository().Contents("s", 1 << 20)->fields.size(), 0u);
  if (!is_stored()) return;
  const auto snapshot = store_->Snapshot("s").value();
  EXPECT_EQ(snapshot->Next(10)->size(), 0u);
}

// --- Charges ------------------------------------------------------------------------------------

TEST_P(RepositoryTest, ACopyThatFailsLeavesNoCharge) {
  Limits limits;
  limits.max_sessions = 1;
  TestServer& server = Serve(limits);
  ASSERT_TRUE(server.Create("s", {}).ok());
  EXPECT_EQ(ReasonText(server.Create("t", {MakeConcrete("p", 0.5)})), "QUOTA_SESSIONS");
  EXPECT_EQ(ReasonText(server.Create("s", {MakeConcrete("p", 0.5)})), "SESSION_EXISTS");
  EXPECT_EQ(server.budgets().parameters().held(), 0u);
}

}  // namespace
}  // namespace dropoutd
