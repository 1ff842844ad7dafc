// Servers over a store whose calls fail, are lost, or arrive late: what was answered stays, and
// what failed was either made whole or not at all.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_change.h"
#include "server/persistence/session_codec.h"
#include "server/store/memory_store.h"
#include "tests/persistence/faulty_store.h"
#include "tests/persistence/test_server.h"

namespace dropoutd {
namespace {

constexpr StepKey kStep = {7, 0, 0};
constexpr double kNoRecord = TestServer::kNoRecord;

// Two servers over one shared store; the faults are on the way from the first.
class StoreFaultsTest : public testing::Test {
 protected:
  std::size_t FieldsOf(const std::string& key) {
    const auto snapshot = memory_.Snapshot(key);
    if (!snapshot.ok()) return 0;
    return (*snapshot)->Next(100'000)->size();
  }

  ManualClock clock_;
  MemoryStore memory_{[this] { return clock_.Now(); }, /*is_shared=*/true};
  FaultyStore faulty_{memory_};
  TestServer a_{&faulty_, clock_};
  TestServer b_{&memory_, clock_};
};

// One server over a store of its own.
class OwnStoreFaultsTest : public testing::Test {
 protected:
  ManualClock clock_;
  MemoryStore memory_{[this] { return clock_.Now(); }};
  FaultyStore faulty_{memory_};
  TestServer server_{&faulty_, clock_};
};

// --- An ambiguous write with no end -------------------------------------------------------------

TEST_F(StoreFaultsTest, ALateRemovalDoesNotTakeTheSessionThatWasMadeAnew) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  faulty_.on_remove = FaultyStore::Always(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.repository().Delete("s")), "STORE_UNAVAILABLE");
  faulty_.Heal();
  ASSERT_EQ(ReasonText(a_.repository().Delete("s")), "OK");
  ASSERT_TRUE(b_.Create("s", {MakeLayer("l", 0.25)}).ok());
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(a_.P("s", "l"), 0.25);
  EXPECT_EQ(b_.P("s", "l"), 0.25);
}

TEST_F(StoreFaultsTest, ALateCreationDoesNotBringASessionBack) {
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Create("s", {MakeLayer("l", 0.5)})), "STORE_UNAVAILABLE");
  ASSERT_EQ(ReasonText(b_.Create("s", {MakeLayer("l", 0.5)})), "OK");
  ASSERT_EQ(ReasonText(b_.repository().Delete("s")), "OK");
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(ReasonText(b_.repository().Find("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(ReasonText(a_.repository().Find("s")), "SESSION_NOT_FOUND");
}

TEST_F(StoreFaultsTest, ALateCreationDoesNotReplaceASession) {
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Create("s", {MakeLayer("l", 0.5)})), "STORE_UNAVAILABLE");
  ASSERT_EQ(ReasonText(a_.Create("s", {MakeLayer("l", 0.5)})), "OK");
  ASSERT_EQ(ReasonText(a_.Forward("s", "l", kStep)), "OK");
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(a_.RecordedP("s", "l", kStep), 0.5);
  EXPECT_EQ(b_.RecordedP("s", "l", kStep), 0.5);
}

TEST_F(StoreFaultsTest, ALateChangeLosesToThoseThatWereAnsweredSince) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Update("s", MakeLayer("l", 0.75))), "STORE_UNAVAILABLE");
  ASSERT_EQ(ReasonText(b_.Update("s", MakeLayer("l", 0.25))), "OK");
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(a_.P("s", "l"), 0.25);
  EXPECT_EQ(b_.P("s", "l"), 0.25);
}

TEST_F(StoreFaultsTest, ALateChangeLosesToAChangeOfNothing) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Update("s", MakeLayer("l", 0.75))), "STORE_UNAVAILABLE");
  ASSERT_EQ(ReasonText(b_.Update("s", MakeLayer("l", 0.5))), "OK");
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(a_.P("s", "l"), 0.5);
  EXPECT_EQ(b_.P("s", "l"), 0.5);
}

TEST_F(StoreFaultsTest, ALateRecordDoesNotReplaceItsRepeat) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Forward("s", "l", kStep)), "STORE_UNAVAILABLE");
  // Nothing of the session has changed meanwhile: the record alone says that it came first.
  ASSERT_EQ(ReasonText(b_.Forward("s", "l", kStep)), "OK");
  const Token token = b_.repository().FindStep("s", "l", kStep, true)->layer.record->token;
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(b_.repository().FindStep("s", "l", kStep, true)->layer.record->token, token);
}

TEST_F(StoreFaultsTest, ALateRecordDoesNotBringAReleasedStepBack) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Forward("s", "l", kStep)), "STORE_UNAVAILABLE");
  ASSERT_EQ(ReasonText(b_.Forward("s", "l", kStep)), "OK");
  ASSERT_EQ(ReasonText(b_.Release("s", "l", kStep)), "OK");
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(a_.RecordedP("s", "l", kStep), kNoRecord);
  EXPECT_EQ(b_.RecordedP("s", "l", kStep), kNoRecord);
}

// A bulk release leaves no tombstones, and may have found nothing to erase.
TEST_F(StoreFaultsTest, ALateRecordDoesNotComeAfterAReleaseOfMany) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Forward("s", "l", kStep)), "STORE_UNAVAILABLE");
  EXPECT_EQ(*b_.repository().ReleaseSteps("s", "l", kStep.step), 0u);
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(a_.RecordedP("s", "l", kStep), kNoRecord);
  EXPECT_EQ(b_.RecordedP("s", "l", kStep), kNoRecord);
}

TEST_F(StoreFaultsTest, ALateReleaseLeavesTheRecordThatCameSince) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  ASSERT_TRUE(a_.Forward("s", "l", kStep).ok());
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Release("s", "l", kStep)), "STORE_UNAVAILABLE");
  ASSERT_EQ(ReasonText(b_.Forward("s", "l", kStep)), "OK");
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(b_.RecordedP("s", "l", kStep), 0.5);
}

TEST_F(StoreFaultsTest, ALateReleaseOfManyLeavesWhatCameSince) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  ASSERT_TRUE(a_.Forward("s", "l", kStep).ok());
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.repository().ReleaseSteps("s", "l", kStep.step)), "STORE_UNAVAILABLE");
  ASSERT_EQ(*b_.repository().ReleaseSteps("s", "l", kStep.step), 1u);
  ASSERT_EQ(ReasonText(b_.Forward("s", "l", kStep)), "OK");
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(b_.RecordedP("s", "l", kStep), 0.5);
}

TEST_F(StoreFaultsTest, ALateDrawIsNotDrawnTwice) {
  const LayerConfig numpy = MakeLayer("n", 0.5, Generator::kNumpyLegacy);
  ASSERT_TRUE(a_.Create("s", {numpy}).ok());
  ASSERT_TRUE(a_.Create("t", {numpy}).ok());
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Draw("s", "n", {1, 0, 0})), "STORE_UNAVAILABLE");
  const std::string first = b_.Draw("s", "n", {1, 0, 0}).value();
  ASSERT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(a_.Draw("s", "n", {1, 0, 0}).value(), first);
  EXPECT_EQ(b_.Draw("t", "n", {1, 0, 0}).value(), first);
  EXPECT_EQ(b_.Draw("t", "n", {2, 0, 0}).value(), a_.Draw("s", "n", {2, 0, 0}).value());
}

// A repeat of what was made, though the answer was lost, finds it.
TEST_F(StoreFaultsTest, ACallWhoseAnswerWasLostIsRepeated) {
  faulty_.FailCommit(WriteFault::kLost);
  EXPECT_EQ(ReasonText(a_.Create("s", {MakeLayer("l", 0.5)})), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(a_.Create("s", {MakeLayer("l", 0.5)})), "OK");
  faulty_.FailCommit(WriteFault::kLost);
  EXPECT_EQ(ReasonText(a_.Update("s", MakeLayer("l", 0.25))), "STORE_UNAVAILABLE");
  EXPECT_EQ(a_.P("s", "l"), 0.25);
  EXPECT_EQ(ReasonText(a_.Update("s", MakeLayer("l", 0.25))), "OK");
  faulty_.FailCommit(WriteFault::kLost);
  EXPECT_EQ(ReasonText(a_.Forward("s", "l", kStep)), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(a_.Forward("s", "l", kStep)), "OK");
  EXPECT_EQ(b_.RecordedP("s", "l", kStep), 0.25);
  faulty_.FailCommit(WriteFault::kLost);
  EXPECT_EQ(ReasonText(a_.Release("s", "l", kStep)), "STORE_UNAVAILABLE");
  EXPECT_EQ(b_.RecordedP("s", "l", kStep), kNoRecord);
  faulty_.on_remove = FaultyStore::Always(WriteFault::kLost);
  EXPECT_EQ(ReasonText(a_.repository().Delete("s")), "STORE_UNAVAILABLE");
  faulty_.Heal();
  EXPECT_EQ(ReasonText(a_.repository().Find("s")), "SESSION_NOT_FOUND");
}

// --- Clean-up that does not say of whom ---------------------------------------------------------

TEST_F(StoreFaultsTest, LateCleanUpTakesNothingOfTheSessionThatWasMadeAnew) {
  const std::vector<LayerConfig> layers = {MakeLinear("w"), MakeLayer("l", 0.5)};
  ASSERT_TRUE(a_.Create("s", layers).ok());
  ASSERT_TRUE(a_.SetWeight("s", "w").ok());
  ASSERT_TRUE(a_.Forward("s", "w", kStep).ok());
  faulty_.on_erase = FaultyStore::Always(WriteFault::kLate);
  ASSERT_EQ(ReasonText(a_.DeleteLayer("s", "w")), "OK");
  faulty_.Heal();
  ASSERT_TRUE(b_.repository().Delete("s").ok());
  ASSERT_TRUE(b_.Create("s", layers).ok());
  ASSERT_TRUE(b_.SetWeight("s", "w").ok());
  ASSERT_TRUE(b_.Forward("s", "w", kStep).ok());
  ASSERT_TRUE(b_.Forward("s", "l", kStep).ok());
  const std::size_t fields = FieldsOf("s");
  EXPECT_EQ(fields, 3u);
  EXPECT_GT(faulty_.Deliver(), 0u);
  EXPECT_EQ(FieldsOf("s"), fields);
  // For a server that has no copy too.
  TestServer c(&memory_, clock_);
  EXPECT_EQ(c.RecordedP("s", "w", kStep), 0.5);
  EXPECT_EQ(c.RecordedP("s", "l", kStep), 0.5);
}

// Nor of a layer that was made anew under its id.
TEST_F(StoreFaultsTest, LateCleanUpTakesNothingOfTheLayerThatWasMadeAnew) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  ASSERT_TRUE(a_.Forward("s", "l", kStep).ok());
  faulty_.on_erase = FaultyStore::Always(WriteFault::kLate);
  ASSERT_EQ(ReasonText(a_.DeleteLayer("s", "l")), "OK");
  faulty_.Heal();
  ASSERT_TRUE(b_.CreateLayer("s", MakeLayer("l", 0.25)).ok());
  ASSERT_TRUE(b_.Forward("s", "l", kStep).ok());
  EXPECT_GT(faulty_.Deliver(), 0u);
  EXPECT_EQ(b_.RecordedP("s", "l", kStep), 0.25);
  EXPECT_EQ(FieldsOf("s"), 1u);
}

// --- A count is not an identity -----------------------------------------------------------------

// The store loses its last change, and another server makes as many.
TEST_F(StoreFaultsTest, ACopyOfAChangeThatTheStoreLostIsNotServed) {
  MemoryStore behind([this] { return clock_.Now(); }, /*is_shared=*/true);
  // `behind` has all but the last change.
  bool is_tail = false;
  faulty_.on_commit = [&](const StoreChange& change) {
    if (!is_tail) {
      EXPECT_EQ(behind.Commit("s", change)->outcome, StoreOutcome::kDone);
    }
    return WriteFault::kNone;
  };
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  is_tail = true;
  ASSERT_TRUE(a_.Update("s", MakeLayer("l", 0.75)).ok());
  ASSERT_TRUE(a_.Forward("s", "l", {1, 0, 0}).ok());
  faulty_.Heal();
  faulty_.MoveTo(behind);
  TestServer b(&behind, clock_);
  ASSERT_EQ(ReasonText(b.Update("s", MakeLayer("l", 0.25))), "OK");
  ASSERT_EQ(ReasonText(b.Forward("s", "l", {2, 0, 0})), "OK");
  // In one round trip, and in two.
  EXPECT_FALSE(a_.ForwardHere("s", "l", {3, 0, 0}));
  ASSERT_EQ(ReasonText(a_.Forward("s", "l", {3, 0, 0})), "OK");
  EXPECT_EQ(a_.RecordedP("s", "l", {3, 0, 0}), 0.25);
  EXPECT_EQ(b.RecordedP("s", "l", {3, 0, 0}), 0.25);
  EXPECT_EQ(a_.P("s", "l"), 0.25);
  EXPECT_TRUE(a_.ForwardHere("s", "l", {4, 0, 0}));
  // A step that was lost is not found, though its record is here.
  EXPECT_EQ(a_.RecordedP("s", "l", {1, 0, 0}), kNoRecord);
  EXPECT_EQ(a_.RecordedP("s", "l", {2, 0, 0}), 0.25);
}

// One under the same key that a server never saw is not taken for the one that it did.
TEST_F(StoreFaultsTest, ASessionThatWasMadeAnewIsNotTakenForTheOneBefore) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  ASSERT_TRUE(a_.Forward("s", "l", kStep).ok());
  const StepPlace place = a_.repository().FindStep("s", "l", kStep, false).value();
  ASSERT_TRUE(b_.repository().Delete("s").ok());
  ASSERT_TRUE(b_.Create("s", {MakeLayer("l", 0.25)}).ok());
  EXPECT_EQ(a_.P("s", "l"), 0.25) << "asked with a copy of the one before";
  EXPECT_EQ(ReasonText(a_.WriteAt(place)), "SESSION_NOT_FOUND");
  EXPECT_EQ(a_.RecordedP("s", "l", kStep), kNoRecord);
  EXPECT_EQ(a_.P("s", "l"), 0.25);
  EXPECT_FALSE(a_.ForwardHere("s", "l", kStep) && b_.RecordedP("s", "l", kStep) != 0.25);
}

// --- Dirty reads --------------------------------------------------------------------------------

TEST_F(OwnStoreFaultsTest, NobodyReadsAChangeThatIsNotMade) {
  ASSERT_TRUE(server_.Create("s", {MakeLayer("l", 0.5), MakeLinear("w")}).ok());
  std::vector<double> read;
  std::vector<bool> weights;
  faulty_.on_commit = [&](const StoreChange&) {
    read.push_back(server_.P("s", "l"));
    const auto image = server_.repository().Find("s")->version->image;
    weights.push_back(image->layers.at("w")->parameters != nullptr);
    return WriteFault::kRefused;
  };
  EXPECT_EQ(ReasonText(server_.Update("s", MakeLayer("l", 0.25))), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(server_.SetWeight("s", "w")), "STORE_UNAVAILABLE");
  EXPECT_EQ(read, (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(weights, (std::vector<bool>{false, false}));
  faulty_.Heal();
  EXPECT_EQ(server_.P("s", "l"), 0.5);
  EXPECT_EQ(server_.repository().Find("s")->version->image->layers.at("w")->parameters, nullptr);
  EXPECT_EQ(server_.budgets().parameters().held(), 0u);
}

// Only the store knows what became of it.
TEST_F(OwnStoreFaultsTest, AfterAFailedChangeTheCopyIsReadAnew) {
  for (const WriteFault fault : {WriteFault::kLost, WriteFault::kRefused}) {
    const double p = fault == WriteFault::kLost ? 0.25 : 0.125;
    ASSERT_TRUE(server_.Create("s", {MakeLayer("l", 0.5)}).ok());
    faulty_.FailCommit(fault);
    EXPECT_EQ(ReasonText(server_.Update("s", MakeLayer("l", p))), "STORE_UNAVAILABLE");
    // As long as it cannot be asked nothing is answered.
    faulty_.on_query = [] { return MakeError(Reason::kStoreUnavailable, "no"); };
    EXPECT_EQ(ReasonText(server_.repository().Find("s")), "STORE_UNAVAILABLE");
    EXPECT_EQ(ReasonText(server_.repository().FindStep("s", "l", kStep, false)),
              "STORE_UNAVAILABLE");
    faulty_.Heal();
    EXPECT_EQ(server_.P("s", "l"), fault == WriteFault::kLost ? p : 0.5);
    // From then on the copy is the truth again.
    faulty_.on_query = [] { return MakeError(Reason::kStoreUnavailable, "no"); };
    EXPECT_EQ(ReasonText(server_.repository().Find("s")), "OK");
    faulty_.Heal();
    ASSERT_TRUE(server_.repository().Delete("s").ok());
  }
}

// What is there of a step, if not all calls at it are answered in the order in which the store made
// them.
TEST_F(OwnStoreFaultsTest, OfTwoForwardsTheOneThatTheStoreHasIsAnswered) {
  ASSERT_TRUE(server_.Create("s", {MakeLayer("l", 0.5)}).ok());
  const auto begin = [&] {
    const StepPlace place = server_.repository().FindStep("s", "l", kStep, false).value();
    const StepRecord record = TestServer::RecordAt(place.layer);
    return server_.repository().StartRecord(place, record, nullptr, IfPresent::kReplace);
  };
  const auto finish = [&](RecordWrite& write, double p) {
    StepRecord record;
    record.config = std::make_shared<const LayerConfig>(MakeLayer("l", p));
    record.rate = DropRate(p);
    record.shape = TestServer::StepShape();
    EXPECT_EQ(ReasonText(write.Finish(std::move(record), nullptr, nullptr)), "OK");
  };
  const auto expect_as_in_store = [&](const char* what) {
    TestServer restarted(&memory_, clock_);
    EXPECT_EQ(server_.RecordedP("s", "l", kStep), restarted.RecordedP("s", "l", kStep)) << what;
  };
  for (const bool is_first_released : {false, true}) {
    ASSERT_TRUE(server_.Update("s", MakeLayer("l", 0.5)).ok());
    const auto a = begin();
    ASSERT_TRUE(server_.Update("s", MakeLayer("l", 0.25)).ok());
    const auto b = begin();
    finish(*b, 0.25);
    expect_as_in_store("the second has ended");
    if (is_first_released) {
      ASSERT_EQ(ReasonText(server_.Release("s", "l", kStep)), "OK");
    }
    finish(*a, 0.5);
    expect_as_in_store("both have ended");
  }
}

// A record whose write failed may be there or not: its Backward has what the store says.
TEST_F(OwnStoreFaultsTest, AfterAFailedRecordTheStoreSaysWhichOneIsThere) {
  ASSERT_TRUE(server_.Create("s", {MakeLayer("l", 0.5)}).ok());
  ASSERT_TRUE(server_.Forward("s", "l", kStep).ok());
  ASSERT_TRUE(server_.Update("s", MakeLayer("l", 0.25)).ok());
  faulty_.FailCommit(WriteFault::kLost);
  EXPECT_EQ(ReasonText(server_.Forward("s", "l", kStep)), "STORE_UNAVAILABLE");
  TestServer restarted(&memory_, clock_);
  EXPECT_EQ(server_.RecordedP("s", "l", kStep), restarted.RecordedP("s", "l", kStep));
}

TEST_F(OwnStoreFaultsTest, AfterAFailedReleaseTheStoreSaysWhetherTheStepIsThere) {
  ASSERT_TRUE(server_.Create("s", {MakeLayer("l", 0.5)}).ok());
  for (const bool is_many : {false, true}) {
    ASSERT_TRUE(server_.Forward("s", "l", kStep).ok());
    faulty_.FailCommit(WriteFault::kLost);
    EXPECT_EQ(ReasonText(is_many ? server_.repository().ReleaseSteps("s", "l", kStep.step).status()
                                 : server_.Release("s", "l", kStep)),
              "STORE_UNAVAILABLE");
    EXPECT_EQ(server_.RecordedP("s", "l", kStep), kNoRecord) << is_many;
  }
}

// --- A local book taken for the whole -----------------------------------------------------------

TEST_F(OwnStoreFaultsTest, AfterARestartTheStoresRecordsCount) {
  ASSERT_TRUE(server_.Create("s", {MakeLinear("w")}).ok());
  ASSERT_TRUE(server_.SetWeight("s", "w").ok());
  ASSERT_TRUE(server_.Forward("s", "w", kStep).ok());
  ASSERT_TRUE(server_.SetWeight("s", "w", 2).ok());
  TestServer restarted(&memory_, clock_);
  const auto place = restarted.repository().FindStep("s", "w", kStep, true);
  ASSERT_TRUE(place.ok()) << place.status();
  ASSERT_NE(place->layer.retained, nullptr);
  EXPECT_EQ(place->layer.retained->parameters_id.number, 1u);
  EXPECT_EQ(place->layer.image->parameters_id.number, 2u);
  EXPECT_EQ(*restarted.repository().ReleaseSteps("s", "w", kStep.step), 1u);
}

// --- Look-ups that race with removal ------------------------------------------------------------

TEST(StoreRacesTest, DeletedSessionsDoNotComeBack) {
  const int rounds = kSanitized ? 300 : 3'000;
  for (const bool is_shared : {false, true}) {
    ManualClock clock;
    MemoryStore memory([&clock] { return clock.Now(); }, is_shared);
    int back = 0;
    for (int i = 0; i < rounds; ++i) {
      const std::string key = absl::StrCat("s", i);
      ASSERT_TRUE(TestServer(&memory, clock).Create(key, {MakeLayer("l", 0.5)}).ok());
      TestServer server(&memory, clock);  // Without a copy.
      std::thread finder([&] { static_cast<void>(server.repository().Find(key)); });
      const absl::Status deleted = server.repository().Delete(key);
      finder.join();
      ASSERT_EQ(ReasonText(deleted), "OK");
      if (server.repository().Find(key).ok() || server.registry().size() != 0) ++back;
    }
    // Over a shared store a copy may stay that is never answered.
    if (!is_shared) {
      EXPECT_EQ(back, 0);
    }
    TestServer last(&memory, clock);
    EXPECT_EQ(ReasonText(last.repository().Find("s0")), "SESSION_NOT_FOUND");
  }
}

TEST_F(OwnStoreFaultsTest, ASessionWithADamagedRecordIsNotAnsweredAnyMore) {
  ASSERT_TRUE(server_.Create("s", {MakeLayer("l", 0.5)}).ok());
  faulty_.on_query = [] { return MakeError(Reason::kStoreCorrupt, "damaged"); };
  // The copy is good until the store is asked.
  EXPECT_EQ(ReasonText(server_.repository().Find("s")), "OK");
  EXPECT_EQ(ReasonText(server_.repository().FindStep("s", "l", kStep, true)), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(server_.repository().Find("s")), "STORE_CORRUPT");
  EXPECT_EQ(server_.registry().size(), 0u);
}

// None stands for "no copy is known": no session may be called so.
TEST(StoreDamageTest, ASessionWithoutATokenIsDamaged) {
  ManualClock clock;
  MemoryStore whole([&clock] { return clock.Now(); });
  TestServer maker(&whole, clock);
  const auto made = maker.Create("s", {MakeLayer("l", 0.5)});
  ASSERT_TRUE(made.ok());
  StoreChange making = ChangeTo(*made->version->image);
  making.token = {};
  making.makes = SessionLimit{"", 100, 100};
  making.expected = Token();
  making.ttl = kTestTtl;
  MemoryStore damaged([&clock] { return clock.Now(); });
  ASSERT_EQ(damaged.Commit("s", making)->outcome, StoreOutcome::kDone);
  TestServer server(&damaged, clock);
  EXPECT_EQ(ReasonText(server.repository().Find("s")), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(server.repository().FindStep("s", "l", StepKey{1, 0, 0}, true)),
            "STORE_CORRUPT");
}

// --- Releasing many -----------------------------------------------------------------------------

class ManyStepsTest : public StoreFaultsTest {
 protected:
  static constexpr std::uint64_t kSteps = 1'500;

  ManyStepsTest() {
    EXPECT_TRUE(a_.Create("s", {MakeLayer("l", 0.5), MakeLayer("m", 0.5)}).ok());
    for (std::uint64_t step = 0; step < kSteps; ++step) {
      EXPECT_TRUE(a_.Forward("s", "l", {step, 0, 0}).ok());
    }
    EXPECT_TRUE(a_.Forward("s", "m", {0, 0, 0}).ok());
  }

  // The server dies in the middle: what is released is gone, and not erased yet.
  void ReleaseHalfway() {
    faulty_.on_erase = FaultyStore::Always(WriteFault::kRefused);
    const auto released = a_.repository().ReleaseSteps("s", "l", kSteps - 2);
    ASSERT_EQ(ReasonText(released), "OK");
    EXPECT_EQ(*released, kSteps - 1);
    EXPECT_EQ(FieldsOf("s"), kSteps + 1);
  }
};

TEST_F(ManyStepsTest, WhatIsReleasedIsGoneThoughItIsNotErased) {
  ReleaseHalfway();
  // A copy of its contents has none of it.
  const auto contents = b_.repository().Contents("s", 1 << 24);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(TakeApart(*contents)->steps.size(), 2u);
  EXPECT_EQ(b_.RecordedP("s", "l", {0, 0, 0}), kNoRecord);
  EXPECT_EQ(b_.RecordedP("s", "l", {kSteps - 2, 0, 0}), kNoRecord);
  EXPECT_EQ(b_.RecordedP("s", "l", {kSteps - 1, 0, 0}), 0.5);
  EXPECT_EQ(b_.RecordedP("s", "m", {0, 0, 0}), 0.5);
  EXPECT_EQ(FieldsOf("s"), 2u) << "the next who came by finished it";
}

TEST_F(ManyStepsTest, AForwardAtAReleasedStepStays) {
  ReleaseHalfway();
  ASSERT_EQ(ReasonText(b_.Forward("s", "l", {5, 0, 0})), "OK");
  EXPECT_EQ(b_.RecordedP("s", "l", {5, 0, 0}), 0.5);
  faulty_.Heal();
  EXPECT_EQ(a_.RecordedP("s", "l", {5, 0, 0}), 0.5);
  EXPECT_EQ(a_.RecordedP("s", "l", {6, 0, 0}), kNoRecord);
  EXPECT_EQ(*b_.repository().ReleaseSteps("s", "l", kSteps), 2u);
}

// Such a Forward cannot be made while the erasing fails; nothing wrong is answered either.
TEST_F(ManyStepsTest, AForwardAtAReleasedStepWaitsForTheErasing) {
  ReleaseHalfway();
  EXPECT_EQ(ReasonText(a_.Forward("s", "l", {5, 0, 0})), "STORE_UNAVAILABLE");
  EXPECT_FALSE(a_.ForwardHere("s", "l", {5, 0, 0}));
  EXPECT_EQ(ReasonText(a_.Forward("s", "l", {kSteps, 0, 0})), "OK");
  EXPECT_TRUE(a_.ForwardHere("s", "l", {kSteps + 1, 0, 0}));
  faulty_.Heal();
  EXPECT_EQ(ReasonText(a_.Forward("s", "l", {5, 0, 0})), "OK");
}

// An erase that arrives when the release is finished takes nothing of what came since.
TEST_F(ManyStepsTest, ALateEraseLeavesWhatCameSince) {
  faulty_.on_erase = FaultyStore::Always(WriteFault::kLate);
  ASSERT_EQ(ReasonText(a_.repository().ReleaseSteps("s", "l", kSteps - 2)), "OK");
  ASSERT_EQ(ReasonText(b_.Forward("s", "l", {5, 0, 0})), "OK");
  EXPECT_GT(faulty_.Deliver(), 0u);
  EXPECT_EQ(b_.RecordedP("s", "l", {5, 0, 0}), 0.5);
}

// Nor does a record that was on its way when the release began.
TEST_F(ManyStepsTest, ALateRecordDoesNotComeAfterTheRelease) {
  faulty_.FailCommit(WriteFault::kLate);
  EXPECT_EQ(ReasonText(a_.Forward("s", "l", {5, 0, 0})), "STORE_UNAVAILABLE");
  faulty_.Heal();
  ASSERT_EQ(*b_.repository().ReleaseSteps("s", "l", kSteps - 2), kSteps - 1);
  EXPECT_EQ(faulty_.Deliver(), 1u);
  EXPECT_EQ(b_.RecordedP("s", "l", {5, 0, 0}), kNoRecord);
  EXPECT_EQ(FieldsOf("s"), 2u);
}

// A change of the session while steps are being released neither ends nor undoes the release.
TEST_F(ManyStepsTest, AChangeMeanwhileKeepsTheRelease) {
  ReleaseHalfway();
  ASSERT_EQ(ReasonText(b_.Update("s", MakeLayer("l", 0.25))), "OK");
  EXPECT_EQ(b_.RecordedP("s", "l", {5, 0, 0}), kNoRecord);
  ASSERT_EQ(ReasonText(b_.Forward("s", "l", {5, 0, 0})), "OK");
  EXPECT_EQ(b_.RecordedP("s", "l", {5, 0, 0}), 0.25);
}

// A server that does not know whether its release was made finds out.
TEST_F(OwnStoreFaultsTest, AReleaseOfManyWhoseAnswerWasLostIsFinished) {
  constexpr std::uint64_t kSteps = 1'500;
  ASSERT_TRUE(server_.Create("s", {MakeLayer("l", 0.5)}).ok());
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    ASSERT_TRUE(server_.Forward("s", "l", {step, 0, 0}).ok());
  }
  faulty_.on_commit = [](const StoreChange& change) {
    return change.parts.empty() ? WriteFault::kNone : WriteFault::kLost;
  };
  EXPECT_EQ(ReasonText(server_.repository().ReleaseSteps("s", "l", 9)), "OK");  // At once.
  EXPECT_EQ(ReasonText(server_.repository().ReleaseSteps("s", "l", kSteps - 2)),
            "STORE_UNAVAILABLE");
  faulty_.Heal();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(server_.RecordedP("s", "l", {5, 0, 0}), kNoRecord);
    EXPECT_EQ(server_.RecordedP("s", "l", {kSteps - 2, 0, 0}), kNoRecord);
    EXPECT_EQ(server_.RecordedP("s", "l", {kSteps - 1, 0, 0}), 0.5);
  }
}

// --- Shortening what another has renewed --------------------------------------------------------

TEST(IdleCopiesTest, CopiesThatAreDroppedNeverShortenASessionsLife) {
  for (const bool is_shared : {false, true}) {
    ManualClock clock;
    MemoryStore memory([&clock] { return clock.Now(); }, is_shared);
    Limits limits;
    limits.max_parameter_bytes = 1;  // Any copy with parameters is too much.
    TestServer server(&memory, clock, limits);
    ASSERT_TRUE(server.Create("s", {MakeConcrete("p", 0.5)}).ok());
    for (int i = 0; i < 20; ++i) {
      clock.Advance(std::chrono::seconds(30));
      ASSERT_EQ(ReasonText(server.repository().Find("s")), "OK") << i;
      clock.Advance(std::chrono::seconds(61));
      EXPECT_EQ(server.repository().Sweep(), 1u);
      EXPECT_EQ(server.registry().size(), 0u);
      EXPECT_EQ(server.budgets().parameters().held(), 0u);
    }
    ASSERT_EQ(ReasonText(server.repository().Find("s")), "OK");
    EXPECT_EQ(ReasonText(server.repository().Find("s")), "OK");
  }
}

// A replica that has seen a session long ago neither ends it nor finds it ended.
TEST_F(StoreFaultsTest, AReplicaThatHeardNothingForLongEndsNoSession) {
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(kTestTtl * 2 / 3);
    ASSERT_EQ(ReasonText(b_.repository().Find("s")), "OK");
    a_.repository().Sweep();
  }
  EXPECT_EQ(ReasonText(b_.repository().Find("s")), "OK");
  EXPECT_EQ(a_.P("s", "l"), 0.5);
}

// Nor does one whose clock is ahead: the store's own clock says when a session ends.
TEST_F(StoreFaultsTest, AReplicaWhoseClockIsAheadEndsNoSession) {
  ManualClock ahead;
  ahead.Advance(std::chrono::hours(2));
  TestServer fast(&memory_, ahead);
  ASSERT_TRUE(a_.Create("s", {MakeLayer("l", 0.5)}).ok());
  ASSERT_EQ(ReasonText(fast.repository().Find("s")), "OK");
  ahead.Advance(std::chrono::hours(2));
  fast.repository().Sweep();
  EXPECT_EQ(fast.registry().size(), 0u);
  EXPECT_EQ(a_.P("s", "l"), 0.5);
  EXPECT_EQ(fast.P("s", "l"), 0.5);
  // For its own calls neither: a copy that it takes for expired is not the session.
  ahead.Advance(std::chrono::hours(2));
  EXPECT_EQ(fast.P("s", "l"), 0.5);
}

// --- Charges ------------------------------------------------------------------------------------

TEST_F(StoreFaultsTest, AFailedCopyLeavesNoCharge) {
  ASSERT_TRUE(b_.Create("from", {MakeLinear("w")}).ok());
  ASSERT_TRUE(b_.SetWeight("from", "w").ok());
  ASSERT_TRUE(b_.Forward("from", "w", kStep).ok());
  const auto copy = [&]() -> absl::Status {
    SessionContents contents = b_.repository().Contents("from", 1 << 20).value();
    Repository::Copied copied;
    copied.parts = TakeApart(contents).value();
    copied.fields = std::move(contents.fields);
    contents.image.incarnation = Token::Random();
    LayerImage layer = *contents.image.layers.at("w");
    layer.parameters = a_.budgets()
                           .ChargeParameters(*a_.budgets().Open(""), Parameters(*layer.parameters),
                                             /*may_refuse=*/false, nullptr)
                           .value();
    contents.image.layers["w"] = std::make_shared<const LayerImage>(layer);
    return a_.repository()
        .Create(
            "to", std::make_shared<const SessionImage>(std::move(contents.image)),
            [](const SessionImage&) { return false; }, &copied)
        .status();
  };
  faulty_.on_stage = FaultyStore::Always(WriteFault::kRefused);
  EXPECT_EQ(ReasonText(copy()), "STORE_UNAVAILABLE");
  faulty_.Heal();
  faulty_.FailCommit(WriteFault::kRefused);
  EXPECT_EQ(ReasonText(copy()), "STORE_UNAVAILABLE");
  // What was staged is gone, as after a fail-over: here because of the time that has passed.
  faulty_.on_commit = [this](const StoreChange&) {
    clock_.Advance(std::chrono::seconds(61));
    return WriteFault::kNone;
  };
  EXPECT_EQ(ReasonText(copy()), "STORE_UNAVAILABLE");
  faulty_.Heal();
  EXPECT_EQ(a_.budgets().parameters().held(), 0u);
  EXPECT_EQ(a_.budgets().inputs().bytes(), 0u);
  EXPECT_EQ(ReasonText(a_.repository().Find("to")), "SESSION_NOT_FOUND");
  EXPECT_EQ(ReasonText(copy()), "OK");
  EXPECT_EQ(b_.RecordedP("to", "w", kStep), 0.5);
}

// What a server holds are copies: it refuses nothing of others' because it has many.
TEST(CopiesTest, AServerFullOfCopiesServesWhatOthersHaveMade) {
  ManualClock clock;
  MemoryStore memory([&clock] { return clock.Now(); }, /*is_shared=*/true);
  TestServer maker(&memory, clock);
  Limits limits;
  limits.max_parameter_bytes = 20;
  limits.max_steps = 3;
  limits.max_steps_per_layer = 2;
  TestServer full(&memory, clock, limits);
  for (int i = 0; i < 10; ++i) {
    const std::string key = absl::StrCat("s", i);
    ASSERT_TRUE(maker.Create(key, {MakeConcrete("p", 0.5), MakeLayer("l", 0.5)}).ok());
    EXPECT_EQ(ReasonText(full.repository().Find(key)), "OK");
    for (std::uint64_t step = 0; step < 5; ++step) {
      // A Forward that is refused for steps leaves no record; here none is.
      ASSERT_EQ(ReasonText(full.Forward(key, "l", {step, 0, 0})), "OK");
      EXPECT_EQ(full.RecordedP(key, "l", {step, 0, 0}), 0.5);
    }
    EXPECT_EQ(full.RecordedP(key, "l", {0, 0, 0}), 0.5);
  }
  EXPECT_LE(full.budgets().steps().held(), 3u);
}

}  // namespace
}  // namespace dropoutd
