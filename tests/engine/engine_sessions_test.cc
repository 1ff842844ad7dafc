// Sessions as a client of the engine meets them.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/engine/engine.h"
#include "tests/engine/manual_clock.h"
#include "tests/engine/support.h"
#include "tests/engine/test_engine.h"

namespace dropoutd {
namespace {

using Ids = std::vector<std::string>;

class EngineSessionsTest : public testing::Test {
 protected:
  static Limits SmallLimits() {
    Limits limits;
    limits.max_sessions = 10;
    limits.max_layers_per_session = 3;
    limits.default_ttl = std::chrono::minutes(1);
    limits.max_ttl = std::chrono::hours(1);
    return limits;
  }

  std::string Create(const std::string& id) {
    return ReasonText(engine_.CreateSession(MakeSpec(id, 1, {})));
  }

  std::string CreateWithTtl(Nanoseconds ttl) {
    SessionSpec spec;
    spec.ttl = ttl;
    return ReasonText(engine_.CreateSession(spec));
  }

  static Ids IdsOf(const SessionPage& page) {
    Ids ids;
    for (const SessionView& session : page.sessions) ids.push_back(session.session_id);
    return ids;
  }

  ManualClock clock_;
  TestEngine engine_{SmallLimits(), clock_};
};

TEST_F(EngineSessionsTest, SessionIdsHaveARange) {
  EXPECT_EQ(Create("AZaz09._-"), "OK");
  EXPECT_EQ(Create(std::string(128, 'x')), "OK");
  EXPECT_EQ(Create(std::string(129, 'x')), "INVALID_SESSION");
  for (const char* const id : {"a b", "/a/b", "red/a/b", "a\n", "\xC3\xA4", "a:b"}) {
    EXPECT_EQ(Create(id), "INVALID_SESSION") << id;
  }
  EXPECT_EQ(Create(std::string("a\0b", 3)), "INVALID_SESSION");
}

TEST_F(EngineSessionsTest, TheServerPicksIdsThatDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    const auto session = engine_.CreateSession({});
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_EQ(session->session_id.size(), 32u);
    EXPECT_TRUE(engine_.GetSession(session->session_id).ok());
    ids.insert(session->session_id);
  }
  EXPECT_EQ(ids.size(), 10u);
}

TEST_F(EngineSessionsTest, TimesToLiveHaveARange) {
  EXPECT_EQ(CreateWithTtl(Nanoseconds(0)), "INVALID_SESSION");
  EXPECT_EQ(CreateWithTtl(std::chrono::seconds(-1)), "INVALID_SESSION");
  EXPECT_EQ(CreateWithTtl(std::chrono::hours(1)), "OK");
  EXPECT_EQ(CreateWithTtl(std::chrono::hours(1) + Nanoseconds(1)), "INVALID_SESSION");
  EXPECT_EQ(CreateWithTtl(Nanoseconds::max()), "INVALID_SESSION");
}

TEST_F(EngineSessionsTest, ARetryGetsTheSessionThatExists) {
  SessionSpec spec;
  spec.session_id = "s";
  spec.layers = {MakeLayer("a", 0.5)};
  const auto first = engine_.CreateSession(spec);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(engine_.CreateLayer("s", MakeLayer("b", 0.5)).ok());
  const auto again = engine_.CreateSession(spec);
  ASSERT_TRUE(again.ok()) << again.status();
  // Also its seed, which the server drew.
  EXPECT_EQ(again->seed, first->seed);
  EXPECT_EQ(again->layers.size(), 2u);
  spec.layers[0].p = 0.25;
  EXPECT_EQ(ReasonText(engine_.CreateSession(spec)), "SESSION_EXISTS");
}

TEST_F(EngineSessionsTest, AFailedCreateLeavesNothing) {
  EXPECT_EQ(ReasonText(engine_.CreateSession(MakeSpec("s", 1, {MakeLayer("a", 2.0)}))),
            "INVALID_LAYER");
  EXPECT_EQ(ReasonText(engine_.CreateSession(
                MakeSpec("s", 1, {MakeLayer("a", 0.5), MakeLayer("a", 0.5)}))),
            "LAYER_EXISTS");
  EXPECT_EQ(ReasonText(engine_.GetSession("s")), "SESSION_NOT_FOUND");
  EXPECT_EQ(Create("s"), "OK");
}

TEST_F(EngineSessionsTest, LimitsHold) {
  for (int i = 0; i < 10; ++i) ASSERT_EQ(Create(absl::StrCat(i)), "OK");
  EXPECT_EQ(Create("more"), "QUOTA_SESSIONS");
  EXPECT_EQ(Create("3"), "OK");
  ASSERT_TRUE(engine_.DeleteSession("3").ok());
  EXPECT_EQ(Create("more"), "OK");
  for (const char* const id : {"a", "b", "c"}) {
    ASSERT_TRUE(engine_.CreateLayer("more", MakeLayer(id, 0.5)).ok());
  }
  EXPECT_EQ(ReasonText(engine_.CreateLayer("more", MakeLayer("d", 0.5))), "QUOTA_LAYERS");
}

TEST_F(EngineSessionsTest, EveryCallOnASessionRenewsIt) {
  if (engine_.is_shared()) GTEST_SKIP() << "other servers may have renewed it";
  ASSERT_TRUE(
      engine_.CreateSession(MakeSpec("s", 1, {MakeLayer("a", 0.5), MakeLayer("b", 0.5)})).ok());
  const Shape shape = MakeShape({4});
  const std::vector<float> x = MakeValues(4, 1);
  const Place at{"s", "a", 1};
  const std::vector<std::pair<const char*, std::function<absl::Status()>>> calls = {
      {"GetSession", [&] { return engine_.GetSession("s").status(); }},
      {"CreateLayer", [&] { return engine_.CreateLayer("s", MakeLayer("c", 0.5)).status(); }},
      {"UpdateLayer", [&] { return engine_.UpdateLayer("s", MakeLayer("c", 0.25)).status(); }},
      {"DeleteLayer", [&] { return engine_.DeleteLayer("s", "c"); }},
      {"SetMode", [&] { return engine_.SetMode("s", Mode::kTrain, {}).status(); }},
      {"Forward", [&] { return RunForward(engine_, at, shape, x).status(); }},
      {"Backward", [&] { return RunBackward(engine_, at, shape, x).status(); }},
      {"GetMask", [&] { return engine_.GetMask(at.Ref(), std::nullopt).status(); }},
      {"ReleaseSteps", [&] { return engine_.ReleaseSteps("s", "", 0).status(); }},
  };
  for (const auto& [name, call] : calls) {
    clock_.Advance(std::chrono::seconds(59));
    EXPECT_TRUE(call().ok()) << name;
  }
  clock_.Advance(std::chrono::seconds(60));
  for (const auto& [name, call] : calls) {
    EXPECT_EQ(ReasonText(call()), "SESSION_NOT_FOUND") << name;
  }
}

TEST_F(EngineSessionsTest, ListsInPages) {
  for (const char* const id : {"d", "b", "e", "a", "c"}) ASSERT_EQ(Create(id), "OK");
  SessionPage page = *engine_.ListSessions("", 2);
  EXPECT_EQ(IdsOf(page), (Ids{"a", "b"}));
  // Changes between two pages do not shift them.
  ASSERT_TRUE(engine_.DeleteSession("a").ok());
  ASSERT_TRUE(engine_.DeleteSession("b").ok());
  page = *engine_.ListSessions(page.next, 2);
  EXPECT_EQ(IdsOf(page), (Ids{"c", "d"}));
  page = *engine_.ListSessions(page.next, 2);
  EXPECT_EQ(IdsOf(page), Ids{"e"});
  EXPECT_EQ(page.next, "");
}

TEST_F(EngineSessionsTest, ALastPageThatIsFullIsTheLast) {
  for (const char* const id : {"a", "b"}) ASSERT_EQ(Create(id), "OK");
  EXPECT_EQ(engine_.ListSessions("", 2)->next, "");
  EXPECT_EQ(engine_.ListSessions("b", 2)->sessions.size(), 0u);
}

TEST_F(EngineSessionsTest, TenantsSeeTheirOwnSessionsOnly) {
  for (const char* const key : {"a", "red/a", "red/b", "blue/a", "z", "redder/a"}) {
    ASSERT_EQ(Create(key), "OK");
  }
  EXPECT_EQ(IdsOf(*engine_.ListSessions("red/", 10)), (Ids{"red/a", "red/b"}));
  EXPECT_EQ(IdsOf(*engine_.ListSessions("red/a", 10)), Ids{"red/b"});
  EXPECT_EQ(IdsOf(*engine_.ListSessions("blue/", 10)), Ids{"blue/a"});
  EXPECT_EQ(IdsOf(*engine_.ListSessions("", 10)), (Ids{"a", "z"}));
  EXPECT_EQ(IdsOf(*engine_.ListSessions("green/", 10)), Ids{});
  EXPECT_EQ(ReasonText(engine_.GetSession("green/a")), "SESSION_NOT_FOUND");
}

TEST_F(EngineSessionsTest, PagesOfATenantEndWithIt) {
  for (const char* const key : {"a/1", "a/2", "b/1"}) ASSERT_EQ(Create(key), "OK");
  const SessionPage page = *engine_.ListSessions("a/", 1);
  EXPECT_EQ(page.next, "a/1");
  EXPECT_EQ(engine_.ListSessions(page.next, 1)->next, "");
}

TEST_F(EngineSessionsTest, ErrorsDoNotNameTheTenant) {
  const absl::Status status = engine_.GetSession("secret_tenant/nothing").status();
  EXPECT_EQ(status.message().find("secret_tenant"), absl::string_view::npos) << status;
  EXPECT_NE(status.message().find("nothing"), absl::string_view::npos) << status;
}

TEST_F(EngineSessionsTest, TheServerPicksAnIdWithinTheTenant) {
  SessionSpec spec = MakeSpec("red/", 1, {});
  const auto made = engine_.CreateSession(spec);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->session_id.substr(0, 4), "red/");
  EXPECT_GT(made->session_id.size(), 20u);
}

TEST_F(EngineSessionsTest, TheMasksOfWhatGoesLeaveTheCache) {
  ASSERT_TRUE(
      engine_.CreateSession(MakeSpec("s", 1, {MakeLayer("a", 0.5), MakeLayer("b", 0.5)})).ok());
  const Shape shape = MakeShape({100});
  const std::vector<float> x = MakeValues(100, 1);
  for (const char* const layer : {"a", "b"}) {
    ASSERT_TRUE(RunForward(engine_, {"s", layer, 1}, shape, x).ok());
  }
  const std::size_t both = engine_.mask_cache().bytes();
  ASSERT_TRUE(engine_.DeleteLayer("s", "a").ok());
  EXPECT_EQ(engine_.mask_cache().bytes(), both / 2);
  ASSERT_TRUE(engine_.DeleteSession("s").ok());
  EXPECT_EQ(engine_.mask_cache().bytes(), 0u);
}

TEST_F(EngineSessionsTest, TheMasksOfExpiredSessionsLeaveTheCache) {
  if (engine_.is_shared()) GTEST_SKIP() << "other servers may have renewed it";
  ASSERT_TRUE(engine_.CreateSession(MakeSpec("s", 1, {MakeLayer("a", 0.5)})).ok());
  ASSERT_TRUE(RunForward(engine_, {"s", "a", 1}, MakeShape({8}), MakeValues(8, 1)).ok());
  EXPECT_GT(engine_.mask_cache().bytes(), 0u);
  clock_.Advance(std::chrono::minutes(1));
  // The engine's own thread may have taken the session first; then its masks are about to go.
  engine_.RemoveExpired();
  while (engine_.mask_cache().bytes() != 0) std::this_thread::yield();
  EXPECT_EQ(ReasonText(engine_.GetSession("s")), "SESSION_NOT_FOUND");
}

}  // namespace
}  // namespace dropoutd
