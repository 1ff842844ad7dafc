// Sessions whose copies are dropped while they are in use, over stores of the engine's own.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/engine/engine.h"
#include "server/store/memory_store.h"
#include "server/store/sqlite_store.h"
#include "tests/engine/manual_clock.h"
#include "tests/engine/support.h"
#include "tests/store/stores_under_test.h"

namespace dropoutd {
namespace {

std::size_t SessionCount() {
  const char* const wanted = std::getenv("DROPOUTD_EXPIRY_SESSIONS");
  if (wanted != nullptr) return static_cast<std::size_t>(std::atoll(wanted));
  return kSanitized ? 3'000 : 20'000;
}

// More sessions than copies are kept of, each called a moment after it has counted as idle, while
// idle copies are dropped.
void UseManySessions(Store& store, ManualClock& clock, std::size_t sessions) {
  constexpr int kRounds = 3;
  constexpr Nanoseconds kPeriod = std::chrono::milliseconds(60'500);
  constexpr std::size_t kCallsASweep = 50;
  Limits limits;
  limits.default_ttl = std::chrono::seconds(100);
  Engine engine(limits, clock, &store);
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < sessions; ++i) {
    ids.push_back(absl::StrCat("s", i));
    ASSERT_EQ(ReasonText(engine.CreateSession(MakeSpec(ids.back(), 1, {}))), "OK");
  }
  std::atomic<std::size_t> calls = 0;
  std::atomic<bool> done = false;
  std::thread sweeper([&] {
    for (std::size_t swept = 0; !done;) {
      if (calls < swept + kCallsASweep) {
        std::this_thread::yield();
        continue;
      }
      swept = calls;
      engine.RemoveExpired();
    }
  });
  std::size_t lost = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (const std::string& id : ids) {
      clock.Advance(kPeriod / static_cast<std::int64_t>(sessions));
      if (!engine.GetSession(id).ok()) ++lost;
      ++calls;
    }
  }
  done = true;
  sweeper.join();
  EXPECT_EQ(lost, 0u) << "of " << sessions;
}

// The stores are the test's own: once is enough.
class EngineIdleTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("DROPOUTD_TEST_STORE") != nullptr) GTEST_SKIP() << "run without the variable";
  }
};

TEST_F(EngineIdleTest, NoSessionInUseEndsInMemory) {
  ManualClock clock;
  MemoryStore store([&clock] { return clock.Now(); });
  UseManySessions(store, clock, std::min<std::size_t>(SessionCount(), 4'000));
}

TEST_F(EngineIdleTest, NoSessionInUseEndsInAFile) {
  const TemporaryFolder folder;
  ManualClock clock;
  SqliteOptions options;
  options.now = [&clock] { return clock.Now(); };
  const auto store = SqliteStore::Open(folder.File("sessions.db"), options);
  ASSERT_TRUE(store.ok()) << store.status();
  UseManySessions(**store, clock, SessionCount());
}

}  // namespace
}  // namespace dropoutd
