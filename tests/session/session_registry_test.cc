#include "server/session/session_registry.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/session/manual_clock.h"
#include "tests/session/support.h"

namespace dropoutd {
namespace {

using std::chrono::seconds;
using Ids = std::vector<std::string>;

constexpr seconds kTtl{60};

class SessionRegistryTest : public testing::Test {
 protected:
  static SessionSpec Spec(const std::string& id, std::uint64_t seed = 1) {
    return MakeSpec(id, seed, {});
  }

  static SessionSpec SpecWithTtl(const std::string& id, seconds ttl) {
    SessionSpec spec = Spec(id);
    spec.ttl = ttl;
    return spec;
  }

  absl::StatusOr<std::shared_ptr<Session>> Add(SessionRegistry& registry, const SessionSpec& spec) {
    return registry.Add(Session::Make(spec, kTtl, 10, budget_, clock_).value(),
                        [&](const Session& session) { return session.MadeFrom(spec); });
  }

  static Ids IdsOf(const std::vector<std::shared_ptr<Session>>& sessions) {
    Ids ids;
    for (const auto& session : sessions) ids.push_back(session->session_id());
    return ids;
  }

  ManualClock clock_;
  MaskCache cache_{100'000};
  StepBudget budget_{cache_, 1000, 1000};
  SessionRegistry registry_{100, clock_};
};

TEST_F(SessionRegistryTest, FindsWhatWasAdded) {
  const auto added = Add(registry_, Spec("s")).value();
  EXPECT_EQ(registry_.Find("s").value(), added);
  EXPECT_EQ(ReasonText(registry_.Find("t")), "SESSION_NOT_FOUND");
  EXPECT_EQ(ReasonText(registry_.Find("")), "SESSION_NOT_FOUND");
}

TEST_F(SessionRegistryTest, AddingTheSameSpecAgainReturnsTheFirst) {
  const auto added = Add(registry_, Spec("s")).value();
  clock_.Advance(kTtl / 2);
  EXPECT_EQ(Add(registry_, Spec("s")).value(), added);
  EXPECT_EQ(added->expire_time(), clock_.Now() + kTtl);
  EXPECT_EQ(ReasonText(Add(registry_, Spec("s", 2))), "SESSION_EXISTS");
}

TEST_F(SessionRegistryTest, AClashDoesNotRenew) {
  const auto added = Add(registry_, Spec("s")).value();
  const SteadyTime expire_time = added->expire_time();
  clock_.Advance(seconds(1));
  EXPECT_EQ(ReasonText(Add(registry_, Spec("s", 2))), "SESSION_EXISTS");
  EXPECT_EQ(added->expire_time(), expire_time);
}

TEST_F(SessionRegistryTest, RemovedSessionsAreGone) {
  ASSERT_TRUE(Add(registry_, Spec("s")).ok());
  EXPECT_TRUE(registry_.Remove("s").ok());
  EXPECT_EQ(ReasonText(registry_.Remove("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(ReasonText(registry_.Find("s")), "SESSION_NOT_FOUND");
  EXPECT_TRUE(Add(registry_, Spec("s", 2)).ok());
}

// --- Time to live -------------------------------------------------------------------------

TEST_F(SessionRegistryTest, ASessionLivesUntilItsTimeIsOver) {
  ASSERT_TRUE(Add(registry_, Spec("s")).ok());
  ASSERT_TRUE(Add(registry_, Spec("t")).ok());
  clock_.Advance(kTtl - Nanoseconds(1));
  EXPECT_EQ(IdsOf(registry_.List("", 10)), (Ids{"s", "t"}));
  EXPECT_TRUE(registry_.Find("s").ok());
  clock_.Advance(Nanoseconds(1));
  // s was renewed by being found, t was not.
  EXPECT_EQ(IdsOf(registry_.List("", 10)), Ids{"s"});
  EXPECT_EQ(ReasonText(registry_.Find("t")), "SESSION_NOT_FOUND");
}

TEST_F(SessionRegistryTest, ExpiredSessionsAreInvisibleBeforeTheyAreRemoved) {
  ASSERT_TRUE(Add(registry_, Spec("s")).ok());
  clock_.Advance(kTtl);
  EXPECT_EQ(ReasonText(registry_.Find("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(IdsOf(registry_.List("", 10)), Ids{});
  EXPECT_EQ(ReasonText(registry_.Remove("s")), "SESSION_NOT_FOUND");
}

TEST_F(SessionRegistryTest, LookingForAnExpiredSessionDoesNotReviveIt) {
  ASSERT_TRUE(Add(registry_, Spec("s")).ok());
  clock_.Advance(kTtl);
  EXPECT_EQ(ReasonText(registry_.Find("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(ReasonText(registry_.Find("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(registry_.TakeExpired().size(), 1u);
}

TEST_F(SessionRegistryTest, ListingDoesNotRenew) {
  ASSERT_TRUE(Add(registry_, Spec("s")).ok());
  clock_.Advance(kTtl / 2);
  EXPECT_EQ(IdsOf(registry_.List("", 10)), Ids{"s"});
  clock_.Advance(kTtl / 2);
  EXPECT_EQ(ReasonText(registry_.Find("s")), "SESSION_NOT_FOUND");
}

TEST_F(SessionRegistryTest, AnExpiredIdIsFree) {
  const auto first = Add(registry_, Spec("s", 1)).value();
  clock_.Advance(kTtl);
  const auto second = Add(registry_, Spec("s", 2)).value();
  EXPECT_NE(first, second);
  EXPECT_EQ(registry_.Find("s").value(), second);
  // What is still known of the first does not end the second.
  EXPECT_EQ(registry_.TakeExpired().size(), 0u);
  EXPECT_EQ(registry_.Find("s").value(), second);
  clock_.Advance(kTtl);
  EXPECT_EQ(registry_.TakeExpired().size(), 1u);
}

TEST_F(SessionRegistryTest, TheSameSpecAfterExpiryIsANewSession) {
  const auto first = Add(registry_, Spec("s")).value();
  clock_.Advance(kTtl);
  EXPECT_NE(Add(registry_, Spec("s")).value(), first);
}

TEST_F(SessionRegistryTest, RemovesWhatHasExpired) {
  for (const int ttl : {10, 20, 30, 40}) {
    ASSERT_TRUE(Add(registry_, SpecWithTtl(absl::StrCat("s", ttl), seconds(ttl))).ok());
  }
  EXPECT_EQ(registry_.TakeExpired().size(), 0u);
  clock_.Advance(seconds(25));
  EXPECT_EQ(registry_.TakeExpired().size(), 2u);
  EXPECT_EQ(registry_.TakeExpired().size(), 0u);
  EXPECT_EQ(IdsOf(registry_.List("", 10)), (Ids{"s30", "s40"}));
}

TEST_F(SessionRegistryTest, RenewedSessionsAreRemovedWhenTheirNewTimeIsOver) {
  ASSERT_TRUE(Add(registry_, Spec("s")).ok());
  std::weak_ptr<Session> weak = registry_.Find("s").value();
  for (int renewal = 0; renewal < 5; ++renewal) {
    clock_.Advance(kTtl - seconds(1));
    ASSERT_TRUE(registry_.Find("s").ok());
    EXPECT_EQ(registry_.TakeExpired().size(), 0u);
  }
  clock_.Advance(kTtl - seconds(1));
  EXPECT_EQ(registry_.TakeExpired().size(), 0u);
  EXPECT_FALSE(weak.expired());
  clock_.Advance(seconds(1));
  EXPECT_EQ(registry_.TakeExpired().size(), 1u);
  EXPECT_TRUE(weak.expired());
}

TEST_F(SessionRegistryTest, RemovedSessionsAreNotExpiredOnes) {
  ASSERT_TRUE(Add(registry_, Spec("s")).ok());
  ASSERT_TRUE(registry_.Remove("s").ok());
  clock_.Advance(kTtl);
  EXPECT_EQ(registry_.TakeExpired().size(), 0u);
}

TEST_F(SessionRegistryTest, WhoHoldsASessionKeepsItFromHarm) {
  ASSERT_TRUE(Add(registry_, Spec("s")).ok());
  const auto held = registry_.Find("s").value();
  clock_.Advance(kTtl);
  EXPECT_EQ(registry_.TakeExpired().size(), 1u);
  EXPECT_EQ(held->View().session_id, "s");
}

// --- Listing ------------------------------------------------------------------------------

TEST_F(SessionRegistryTest, ListsInPagesSortedById) {
  for (const char* const id : {"d", "b", "e", "a", "c"}) ASSERT_TRUE(Add(registry_, Spec(id)).ok());
  EXPECT_EQ(IdsOf(registry_.List("", 2)), (Ids{"a", "b"}));
  EXPECT_EQ(IdsOf(registry_.List("b", 2)), (Ids{"c", "d"}));
  EXPECT_EQ(IdsOf(registry_.List("d", 2)), Ids{"e"});
  EXPECT_EQ(IdsOf(registry_.List("e", 2)), Ids{});
  // The id that a page starts after may be gone by then.
  EXPECT_EQ(IdsOf(registry_.List("bb", 10)), (Ids{"c", "d", "e"}));
}

TEST_F(SessionRegistryTest, ExpiredSessionsDoNotFillAPage) {
  ASSERT_TRUE(Add(registry_, SpecWithTtl("a", seconds(1))).ok());
  ASSERT_TRUE(Add(registry_, SpecWithTtl("b", seconds(1))).ok());
  ASSERT_TRUE(Add(registry_, Spec("c")).ok());
  ASSERT_TRUE(Add(registry_, Spec("d")).ok());
  clock_.Advance(seconds(1));
  EXPECT_EQ(IdsOf(registry_.List("", 2)), (Ids{"c", "d"}));
}

// --- Limits -------------------------------------------------------------------------------

TEST_F(SessionRegistryTest, TheLimitHolds) {
  SessionRegistry small(2, clock_);
  ASSERT_TRUE(Add(small, Spec("a")).ok());
  ASSERT_TRUE(Add(small, Spec("b")).ok());
  EXPECT_EQ(ReasonText(Add(small, Spec("c"))), "QUOTA_SESSIONS");
  EXPECT_TRUE(Add(small, Spec("b")).ok());
  ASSERT_TRUE(small.Remove("a").ok());
  EXPECT_TRUE(Add(small, Spec("c")).ok());
}

TEST_F(SessionRegistryTest, ExpiredSessionsDoNotCount) {
  SessionRegistry small(2, clock_);
  ASSERT_TRUE(Add(small, SpecWithTtl("a", seconds(1))).ok());
  ASSERT_TRUE(Add(small, Spec("b")).ok());
  clock_.Advance(seconds(1));
  EXPECT_TRUE(Add(small, Spec("c")).ok());
  EXPECT_EQ(ReasonText(Add(small, Spec("d"))), "QUOTA_SESSIONS");
}

// Clients that make and delete a session for every batch must not fill the memory with
// what is left of them.
TEST_F(SessionRegistryTest, DeletedSessionsLeaveNoMemoryBehind) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's allocator is not asked";
  const auto churn = [&](int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(Add(registry_, Spec(absl::StrCat("s", i))).ok());
      ASSERT_TRUE(registry_.Remove(absl::StrCat("s", i)).ok());
    }
  };
  churn(10'000);
  const std::size_t before = mallinfo2().uordblks;
  churn(100'000);
  const std::size_t after = mallinfo2().uordblks;
  EXPECT_LT(after, before + 500'000) << "more than 5 bytes a session";
}

// --- Threads ------------------------------------------------------------------------------

TEST_F(SessionRegistryTest, SessionsThatAreUsedOutliveTheSweep) {
  constexpr int kSessions = 8;
  const int rounds = kSanitized ? 500 : 5'000;
  for (int i = 0; i < kSessions; ++i) ASSERT_TRUE(Add(registry_, Spec(absl::StrCat(i))).ok());
  std::atomic<int> lost{0};
  // Each step of time is a fraction of the ttl, and every session is found between two.
  std::atomic<int> round{0};
  std::atomic<int> done{0};
  std::vector<std::thread> users;
  for (int i = 0; i < kSessions; ++i) {
    users.emplace_back([&, id = absl::StrCat(i)] {
      for (int seen = 0; seen < rounds; ++seen) {
        while (round.load() <= seen) std::this_thread::yield();
        if (!registry_.Find(id).ok()) ++lost;
        ++done;
      }
    });
  }
  std::thread sweeper([&] {
    while (done.load() < rounds * kSessions) {
      registry_.TakeExpired();
      std::this_thread::yield();
    }
  });
  for (int next = 1; next <= rounds; ++next) {
    while (done.load() < (next - 1) * kSessions) std::this_thread::yield();
    clock_.Advance(kTtl - seconds(1));
    round = next;
  }
  for (std::thread& user : users) user.join();
  sweeper.join();
  EXPECT_EQ(lost, 0);
  clock_.Advance(kTtl);
  EXPECT_EQ(registry_.TakeExpired().size(), kSessions);
}

}  // namespace
}  // namespace dropoutd
