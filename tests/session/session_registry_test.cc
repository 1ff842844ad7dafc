#include "server/session/session_registry.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/engine/manual_clock.h"
#include "tests/session/session_examples.h"

namespace dropoutd {
namespace {

using std::chrono::seconds;
using Ids = std::vector<std::string>;
using SharedSession = SessionRegistry::SharedSession;

constexpr seconds kTtl{60};

class SessionRegistryTest : public testing::Test {
 protected:
  SharedSession Make(const std::string& key, seconds ttl = kTtl) {
    SessionSpec spec;
    spec.seed = 1;
    SharedImage image = NewSession(spec, ttl, clock_.WallNow(), {budgets_, *tenant_, 10}).value();
    return std::make_shared<Session>(key, MakeVersion(std::move(image)), budgets_, clock_.Now());
  }

  SharedSession Add(const std::string& key, seconds ttl = kTtl) {
    return registry_.Add(Make(key, ttl));
  }

  // "OK", "EXPIRED", or "NONE".
  std::string Renew(const std::string& key) {
    bool has_expired = false;
    const SharedSession session = registry_.Renew(key, has_expired);
    if (session == nullptr) return "NONE";
    return has_expired ? "EXPIRED" : "OK";
  }

  // Removes what has expired, as its owner does.
  std::size_t Sweep() {
    std::size_t count = 0;
    for (const SharedSession& session : registry_.Expired()) count += registry_.Forget(session);
    return count;
  }

  static Ids KeysOf(const std::vector<SharedSession>& sessions) {
    Ids keys;
    for (const auto& session : sessions) keys.push_back(session->key());
    return keys;
  }

  ManualClock clock_;
  Budgets budgets_{Limits()};
  const TenantBudgetRef tenant_ = budgets_.Open("");
  SessionRegistry registry_{clock_};
};

TEST_F(SessionRegistryTest, FindsWhatWasAdded) {
  const SharedSession added = Add("s");
  bool has_expired = true;
  EXPECT_EQ(registry_.Renew("s", has_expired), added);
  EXPECT_FALSE(has_expired);
  EXPECT_EQ(Renew("t"), "NONE");
  EXPECT_EQ(Renew(""), "NONE");
  EXPECT_EQ(registry_.size(), 1u);
}

TEST_F(SessionRegistryTest, OfTwoThatAreAddedTheFirstStays) {
  const SharedSession first = Add("s");
  clock_.Advance(kTtl / 2);
  EXPECT_EQ(Add("s"), first);
  EXPECT_EQ(first->expire_time(), clock_.Now() + kTtl);
}

TEST_F(SessionRegistryTest, OneThatReplacesAnotherIsFoundInItsPlace) {
  const SharedSession first = Add("s");
  const SharedSession second = Make("s");
  registry_.Replace(second);
  bool has_expired = false;
  EXPECT_EQ(registry_.Renew("s", has_expired), second);
  EXPECT_FALSE(registry_.Forget(first));
  EXPECT_EQ(Renew("s"), "OK");
}

TEST_F(SessionRegistryTest, WhatIsForgottenIsGone) {
  const SharedSession session = Add("s");
  EXPECT_TRUE(registry_.Forget(session));
  EXPECT_FALSE(registry_.Forget(session));
  EXPECT_EQ(Renew("s"), "NONE");
  EXPECT_NE(Add("s"), session);
}

// A call that holds a session which has ended adds no region that nobody would take away.
TEST_F(SessionRegistryTest, WhatIsForgottenOrReplacedTakesNoRegions) {
  const auto expect_ended = [](const SharedSession& session) {
    EXPECT_EQ(ReasonText(session->regions().Add(nullptr, 0)), "SESSION_NOT_FOUND");
  };
  const SharedSession forgotten = Add("a");
  registry_.Forget(forgotten);
  expect_ended(forgotten);
  const SharedSession replaced = Add("b");
  registry_.Replace(Make("b"));
  expect_ended(replaced);
  const SharedSession expired = Add("c");
  clock_.Advance(kTtl);
  Add("c");
  expect_ended(expired);
}

// --- Time to live -------------------------------------------------------------------------------

TEST_F(SessionRegistryTest, ASessionLivesUntilItsTimeIsOver) {
  Add("s");
  Add("t");
  clock_.Advance(kTtl - Nanoseconds(1));
  EXPECT_EQ(KeysOf(registry_.List("", 10)), (Ids{"s", "t"}));
  EXPECT_EQ(Renew("s"), "OK");
  clock_.Advance(Nanoseconds(1));
  // s was renewed by being found, t was not.
  EXPECT_EQ(KeysOf(registry_.List("", 10)), Ids{"s"});
  EXPECT_EQ(KeysOf(registry_.All()), Ids{"s"});
  EXPECT_EQ(Renew("t"), "EXPIRED");
}

TEST_F(SessionRegistryTest, LookingForAnExpiredSessionDoesNotReviveIt) {
  Add("s");
  clock_.Advance(kTtl);
  EXPECT_EQ(Renew("s"), "EXPIRED");
  EXPECT_EQ(Renew("s"), "EXPIRED");
  EXPECT_EQ(Sweep(), 1u);
  EXPECT_EQ(Renew("s"), "NONE");
}

TEST_F(SessionRegistryTest, ListingDoesNotRenew) {
  Add("s");
  clock_.Advance(kTtl / 2);
  EXPECT_EQ(KeysOf(registry_.List("", 10)), Ids{"s"});
  EXPECT_EQ(KeysOf(registry_.All()), Ids{"s"});
  clock_.Advance(kTtl / 2);
  EXPECT_EQ(Renew("s"), "EXPIRED");
}

TEST_F(SessionRegistryTest, AnExpiredKeyIsFree) {
  const SharedSession first = Add("s");
  clock_.Advance(kTtl);
  const SharedSession second = Add("s");
  EXPECT_NE(first, second);
  // What is still known of the first does not end the second.
  EXPECT_EQ(Sweep(), 0u);
  EXPECT_EQ(Renew("s"), "OK");
  clock_.Advance(kTtl);
  EXPECT_EQ(Sweep(), 1u);
}

TEST_F(SessionRegistryTest, RemovesWhatHasExpired) {
  for (const int ttl : {10, 20, 30, 40}) Add(absl::StrCat("s", ttl), seconds(ttl));
  EXPECT_EQ(Sweep(), 0u);
  clock_.Advance(seconds(25));
  EXPECT_EQ(Sweep(), 2u);
  EXPECT_EQ(Sweep(), 0u);
  EXPECT_EQ(KeysOf(registry_.List("", 10)), (Ids{"s30", "s40"}));
}

TEST_F(SessionRegistryTest, RenewedSessionsExpireWhenTheirNewTimeIsOver) {
  const std::weak_ptr<Session> weak = Add("s");
  for (int renewal = 0; renewal < 5; ++renewal) {
    clock_.Advance(kTtl - seconds(1));
    ASSERT_EQ(Renew("s"), "OK");
    EXPECT_EQ(Sweep(), 0u);
  }
  clock_.Advance(kTtl - seconds(1));
  EXPECT_EQ(Sweep(), 0u);
  EXPECT_FALSE(weak.expired());
  clock_.Advance(seconds(1));
  EXPECT_EQ(Sweep(), 1u);
  EXPECT_TRUE(weak.expired());
}

TEST_F(SessionRegistryTest, ForgottenSessionsAreNotExpiredOnes) {
  registry_.Forget(Add("s"));
  clock_.Advance(kTtl);
  EXPECT_EQ(registry_.Expired().size(), 0u);
}

TEST_F(SessionRegistryTest, WhoHoldsASessionKeepsItFromHarm) {
  const SharedSession held = Add("s");
  clock_.Advance(kTtl);
  EXPECT_EQ(Sweep(), 1u);
  EXPECT_EQ(held->version()->image->seed, 1u);
}

// --- Idle copies --------------------------------------------------------------------------------

TEST_F(SessionRegistryTest, IdleSessionsThatNobodyHoldsAreForgotten) {
  Add("idle");
  const SharedSession held = Add("held");
  Add("used");
  clock_.Advance(seconds(20));
  EXPECT_EQ(Renew("used"), "OK");
  EXPECT_EQ(registry_.ForgetIdle(seconds(21)), 0u);
  EXPECT_EQ(registry_.ForgetIdle(seconds(20)), 1u);
  EXPECT_EQ(KeysOf(registry_.All()), (Ids{"held", "used"}));
}

// --- Listing ------------------------------------------------------------------------------------

TEST_F(SessionRegistryTest, ListsInPagesSortedByKey) {
  for (const char* const key : {"d", "b", "e", "a", "c"}) Add(key);
  EXPECT_EQ(KeysOf(registry_.List("", 2)), (Ids{"a", "b"}));
  EXPECT_EQ(KeysOf(registry_.List("b", 2)), (Ids{"c", "d"}));
  EXPECT_EQ(KeysOf(registry_.List("d", 2)), Ids{"e"});
  EXPECT_EQ(KeysOf(registry_.List("e", 2)), Ids{});
  // The key that a page starts after may be gone by then.
  EXPECT_EQ(KeysOf(registry_.List("bb", 10)), (Ids{"c", "d", "e"}));
}

TEST_F(SessionRegistryTest, ListsOneTenant) {
  for (const char* const key : {"a/x", "b/x", "b/y", "c/x", "none"}) Add(key);
  EXPECT_EQ(KeysOf(registry_.List("b/", 10)), (Ids{"b/x", "b/y"}));
  EXPECT_EQ(KeysOf(registry_.List("b/x", 10)), Ids{"b/y"});
  EXPECT_EQ(KeysOf(registry_.List("", 10)), Ids{"none"});
}

TEST_F(SessionRegistryTest, ExpiredSessionsDoNotFillAPage) {
  Add("a", seconds(1));
  Add("b", seconds(1));
  Add("c");
  Add("d");
  clock_.Advance(seconds(1));
  EXPECT_EQ(KeysOf(registry_.List("", 2)), (Ids{"c", "d"}));
}

// Clients that make and delete a session for every batch must not fill the memory with what is left
// of them.
TEST_F(SessionRegistryTest, DeletedSessionsLeaveNoMemoryBehind) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's allocator is not asked";
  const auto churn = [&](int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(registry_.Forget(Add(absl::StrCat("s", i))));
  };
  churn(10'000);
  const std::size_t before = mallinfo2().uordblks;
  churn(100'000);
  const std::size_t after = mallinfo2().uordblks;
  EXPECT_LT(after, before + 500'000) << "more than 5 bytes a session";
}

// --- Threads ------------------------------------------------------------------------------------

TEST_F(SessionRegistryTest, SessionsThatAreUsedOutliveTheSweep) {
  constexpr int kSessions = 8;
  const int rounds = kSanitized ? 500 : 5'000;
  for (int i = 0; i < kSessions; ++i) Add(absl::StrCat(i));
  std::atomic<int> lost{0};
  // Each step of time is a fraction of the ttl, and every session is found between two.
  std::atomic<int> round{0};
  std::atomic<int> done{0};
  std::vector<std::thread> users;
  for (int i = 0; i < kSessions; ++i) {
    users.emplace_back([&, key = absl::StrCat(i)] {
      for (int seen = 0; seen < rounds; ++seen) {
        while (round.load() <= seen) std::this_thread::yield();
        if (Renew(key) != "OK") ++lost;
        ++done;
      }
    });
  }
  std::thread sweeper([&] {
    while (done.load() < rounds * kSessions) {
      Sweep();
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
  EXPECT_EQ(Sweep(), kSessions);
}

// Who finds a session while idle copies are forgotten has one that is still there.
TEST_F(SessionRegistryTest, NoSessionThatWasFoundIsForgottenAsIdle) {
  const int rounds = kSanitized ? 2'000 : 20'000;
  std::atomic<bool> done{false};
  std::thread sweeper([&] {
    while (!done) {
      registry_.ForgetIdle(seconds(1));
      std::this_thread::yield();
    }
  });
  int lost = 0;
  for (int i = 0; i < rounds; ++i) {
    Add("s");
    clock_.Advance(seconds(2));
    bool has_expired = false;
    const SharedSession found = registry_.Renew("s", has_expired);
    if (found != nullptr && !registry_.Forget(found)) ++lost;
  }
  done = true;
  sweeper.join();
  EXPECT_EQ(lost, 0);
}

}  // namespace
}  // namespace dropoutd
