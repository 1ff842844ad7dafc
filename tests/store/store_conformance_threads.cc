// Many callers at once.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/store/store_conformance.h"

namespace dropoutd {
namespace {

TEST_P(StoreConformanceTest, ChangesOfOneThreadKeepTheirOrder) {
  const SessionName session = Create("s");
  constexpr int kChanges = 500;
  std::mutex mutex;
  std::condition_variable changed;
  int done = 0;
  Token last;
  for (int i = 0; i < kChanges; ++i) {
    StoreChange change = Write(session, "last", std::to_string(i), last);
    last = change.token;
    store().StartCommit("s", std::move(change), [&](const auto& result) {
      EXPECT_TRUE(result.ok() && result->outcome == StoreOutcome::kDone) << result.status();
      const std::lock_guard lock(mutex);
      ++done;
      changed.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return done == kChanges; });
  EXPECT_EQ(Get("s", "last").value, std::to_string(kChanges - 1));
}

TEST_P(StoreConformanceTest, NoUpdateIsLost) {
  Create("s", "0");
  constexpr int kThreads = 4;
  constexpr int kEach = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach;) {
        const auto answer = store().Query("s", {});
        ASSERT_TRUE(answer.ok()) << answer.status();
        StoreChange change = ChangeOf({"s", answer->incarnation, answer->token});
        const int next = std::stoi(*answer->parts.at(0).value) + 1;
        change.parts = {{"document", std::to_string(next)}};
        const StoreOutcome outcome = Commit("s", change).outcome;
        if (outcome == StoreOutcome::kDone) {
          ++i;
        } else {
          ASSERT_EQ(outcome, StoreOutcome::kConflict);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(PartsOf("s")["document"], std::to_string(kThreads * kEach));
}

// Limits are kept by the store, not by who asks it.
TEST_P(StoreConformanceTest, NoTwoTakeTheLastPlace) {
  constexpr int kThreads = 4;
  std::atomic<int> made = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        StoreChange change = New();
        change.makes = SessionLimit{"red/", 10, 1000};
        const std::string key = "red/" + std::to_string(t) + "." + std::to_string(i);
        if (Commit(key, change).outcome == StoreOutcome::kDone) ++made;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 10);
  EXPECT_EQ(*store().Count(), 10u);
}

TEST_P(StoreConformanceTest, ManyThreadsOnManySessions) {
  constexpr int kThreads = 4;
  constexpr int kEach = 100;
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string key = "s" + std::to_string(t);
      const SessionName session = Create(key);
      for (int i = 0; i < kEach; ++i) {
        const std::string value = std::to_string(i);
        if (Commit(key, Write(session, "f" + value, value)).outcome != StoreOutcome::kDone) {
          ++failed;
        }
        if (Get(key, "f" + value).value != value) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_EQ(FieldsOf("s" + std::to_string(t)).size(), static_cast<std::size_t>(kEach));
  }
}

}  // namespace
}  // namespace dropoutd
