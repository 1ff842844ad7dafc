// Calls that meet others' on their way: what the simulation has found.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/persistence/field_names.h"
#include "server/store/memory_store.h"
#include "tests/persistence/faulty_store.h"
#include "tests/persistence/test_server.h"

namespace dropoutd {
namespace {

constexpr StepKey kStepOfRaces = {7, 0, 0};

struct SharedPair {
  ManualClock clock;
  MemoryStore memory{[this] { return clock.Now(); }, /*is_shared=*/true};
  FaultyStore faulty{memory};
  TestServer a{&faulty, clock};
  TestServer b{&memory, clock};
};

struct OwnServer {
  ManualClock clock;
  MemoryStore memory{[this] { return clock.Now(); }};
  FaultyStore faulty{memory};
  TestServer server{&faulty, clock};
};

TEST(RacesTest, ADeletionInDoubtLeavesNoTrustedCopy) {
  OwnServer own;
  ASSERT_TRUE(own.server.Create("s", {MakeLayer("l", 0.5)}).ok());
  own.faulty.on_remove = FaultyStore::Always(WriteFault::kLost);
  EXPECT_EQ(ReasonText(own.server.repository().Delete("s")), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(own.server.repository().Find("s")), "SESSION_NOT_FOUND");
}

TEST(RacesTest, AServerThatWasIdleDeletesASessionThatAnotherHasRenewed) {
  SharedPair pair;
  ASSERT_TRUE(pair.a.Create("s", {MakeLayer("l", 0.5)}).ok());
  for (int i = 0; i < 2; ++i) {
    pair.clock.Advance(kTestTtl * 2 / 3);
    ASSERT_EQ(ReasonText(pair.b.repository().Find("s")), "OK");
  }
  EXPECT_EQ(ReasonText(pair.a.repository().Delete("s")), "OK");
  EXPECT_EQ(ReasonText(pair.b.repository().Find("s")), "SESSION_NOT_FOUND");
}

// The other look makes an object of its own of what the change begins with.
TEST(RacesTest, AChangeIsShownThoughAnotherCallHasReadTheSameVersion) {
  OwnServer own;
  ASSERT_TRUE(own.server.Create("s", {MakeLayer("l", 0.5)}).ok());
  own.faulty.FailCommit(WriteFault::kRefused);
  ASSERT_EQ(ReasonText(own.server.Update("s", MakeLayer("l", 0.75))), "STORE_UNAVAILABLE");
  own.faulty.on_query = [&, is_first = true]() mutable {
    if (std::exchange(is_first, false)) own.server.P("s", "l");
    return absl::OkStatus();
  };
  ASSERT_EQ(ReasonText(own.server.Update("s", MakeLayer("l", 0.25))), "OK");
  EXPECT_EQ(own.server.P("s", "l"), 0.25);
}

TEST(RacesTest, AForwardInDoubtIsNotBegunAnew) {
  SharedPair pair;
  ASSERT_TRUE(pair.a.Create("s", {MakeLayer("l", 0.5)}).ok());
  int commits = 0;
  pair.faulty.on_commit = [&commits](const StoreChange&) {
    ++commits;
    return WriteFault::kLost;
  };
  std::optional<StepRecord> record;
  const auto write =
      pair.a.repository().WriteHere("s", "l", kStepOfRaces, [&](const StepPlace& place) {
        record = TestServer::RecordAt(place.layer);
        return &*record;
      });
  ASSERT_NE(write, nullptr);
  EXPECT_EQ(ReasonText(write->Finish(*std::move(record), nullptr, nullptr)), "STORE_UNAVAILABLE");
  EXPECT_EQ(commits, 1);
}

// The record is read before the layer goes, and the parameters that it needs after.
TEST(RacesTest, AStepOfALayerThatGoesMeanwhileIsOfNoLayer) {
  SharedPair pair;
  ASSERT_TRUE(pair.a.Create("s", {MakeLinear("l")}).ok());
  ASSERT_EQ(ReasonText(pair.a.SetWeight("s", "l")), "OK");
  ASSERT_EQ(ReasonText(pair.b.Forward("s", "l", kStepOfRaces)), "OK");
  ASSERT_EQ(ReasonText(pair.a.SetWeight("s", "l", 2)), "OK");
  int queries = 0;
  pair.faulty.on_query = [&] {
    if (++queries == 2) {
      EXPECT_EQ(ReasonText(pair.b.DeleteLayer("s", "l")), "OK");
    }
    return absl::OkStatus();
  };
  EXPECT_EQ(ReasonText(pair.a.repository().FindStep("s", "l", kStepOfRaces, true)),
            "LAYER_NOT_FOUND");
  EXPECT_GE(queries, 2);
}

// The copy that is here is changed while the store is asked, so that what it answers is not shown.
TEST(RacesTest, AForwardOfALayerThatTheCopyDoesNotHaveYetSucceeds) {
  SharedPair pair;
  ASSERT_TRUE(pair.a.Create("s", {MakeLayer("l", 0.5)}).ok());
  pair.faulty.on_query = [&, is_first = true]() mutable {
    if (std::exchange(is_first, false)) {
      EXPECT_EQ(ReasonText(pair.a.Update("s", MakeLayer("l", 0.25))), "OK");
      EXPECT_EQ(ReasonText(pair.b.CreateLayer("s", MakeLayer("m", 0.75))), "OK");
    }
    return absl::OkStatus();
  };
  const auto place = pair.a.repository().FindStep("s", "m", kStepOfRaces, false);
  ASSERT_EQ(ReasonText(place), "OK");
  EXPECT_EQ(ReasonText(pair.a.WriteAt(*place)), "OK");
  EXPECT_EQ(pair.a.RecordedP("s", "m", kStepOfRaces), 0.75);
}

}  // namespace
}  // namespace dropoutd
