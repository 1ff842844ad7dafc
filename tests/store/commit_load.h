// Writers of a store, whose servers a test disturbs meanwhile.
#ifndef DROPOUTD_TESTS_STORE_COMMIT_LOAD_H_
#define DROPOUTD_TESTS_STORE_COMMIT_LOAD_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/store/store.h"

namespace dropoutd {

// Threads that each change the fields of some sessions, one after another, and repeat what failed
// until it is answered. All that was answered must be there at the end, with its token.
class CommitLoad {
 public:
  static constexpr std::chrono::seconds kPatience{15};  // For one change, with its repeats.

  // The store outlives it.
  explicit CommitLoad(Store& store) : store_(store) {
    for (std::size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this, i] { Work(i); });
  }
  ~CommitLoad() { Stop(); }

  // So many more changes have been answered. Of a change that began before the call some may count.
  void AwaitChanges(std::size_t count) {
    const std::size_t goal = changes_ + count;
    while (changes_ < goal && !has_failed_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  // Ends the threads, and checks all.
  void Finish() {
    Stop();
    EXPECT_FALSE(has_failed_);
    for (const std::vector<Session>& sessions : sessions_) {
      for (const Session& session : sessions) Check(session);
    }
    std::printf("%zu changes, %zu repeated, the longest took %lld ms\n", changes_.load(),
                repeats_.load(), static_cast<long long>(longest_ms_.load()));
  }

 private:
  static constexpr std::size_t kThreads = 2;
  static constexpr std::size_t kSessions = 8;  // Of a thread.
  static constexpr std::size_t kFields = 4;

  struct Session {
    std::string key;
    Token incarnation = Token::Random();
    // Of the last change of each field that was answered.
    std::array<std::optional<std::string>, kFields> values;
    std::array<Token, kFields> tokens;
  };

  static std::string FieldName(std::size_t field) { return "f" + std::to_string(field); }

  void Stop() {
    is_over_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  void Work(std::size_t thread) {
    std::vector<Session>& sessions = sessions_[thread];
    for (std::size_t i = 0; i < kSessions; ++i) {
      sessions.emplace_back().key = "t/" + std::to_string(thread) + "-" + std::to_string(i);
      StoreChange change;
      change.makes = SessionLimit{"t/", 1000, 1000};
      change.expected = Token();
      change.parts = {{"p", "value"}};
      Make(sessions.back(), change);
    }
    for (std::size_t step = 0; !is_over_ && !has_failed_; ++step) {
      Session& session = sessions[step % kSessions];
      const std::size_t field = step / kSessions % kFields;
      StoreChange change;
      change.writes = {{FieldName(field), std::to_string(step), session.tokens[field]}};
      const Token token = Make(session, change);
      if (has_failed_) return;
      session.values[field] = std::to_string(step);
      session.tokens[field] = token;
    }
  }

  // The change's token, once it is answered.
  Token Make(const Session& session, StoreChange change) {
    change.token = Token::Random();
    change.incarnation = session.incarnation;
    change.ttl = std::chrono::hours(1);
    const auto begin = std::chrono::steady_clock::now();
    absl::StatusOr<StoreResult> result = store_.Commit(session.key, change);
    while (!result.ok() && std::chrono::steady_clock::now() - begin < kPatience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      ++repeats_;
      result = store_.Commit(session.key, change);
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begin);
    longest_ms_ = std::max(longest_ms_.load(), took.count());
    if (!result.ok() || result->outcome != StoreOutcome::kDone) {
      has_failed_ = true;
      ADD_FAILURE() << session.key << ": "
                    << (result.ok() ? "outcome " + std::to_string(static_cast<int>(result->outcome))
                                    : result.status().ToString());
    }
    ++changes_;
    return change.token;
  }

  void Check(const Session& session) {
    StoreQuery query;
    for (std::size_t i = 0; i < kFields; ++i) query.fields.push_back(FieldName(i));
    const auto answer = store_.Query(session.key, query);
    ASSERT_TRUE(answer.ok()) << session.key << ": " << answer.status();
    EXPECT_EQ(answer->incarnation, session.incarnation);
    for (std::size_t i = 0; i < kFields; ++i) {
      EXPECT_EQ(answer->fields[i].value, session.values[i]) << session.key;
      EXPECT_TRUE(answer->fields[i].token == session.tokens[i]) << session.key;
    }
  }

  Store& store_;
  std::array<std::vector<Session>, kThreads> sessions_;
  std::atomic<bool> is_over_ = false;
  std::atomic<bool> has_failed_ = false;
  std::atomic<std::size_t> changes_ = 0;
  std::atomic<std::size_t> repeats_ = 0;
  std::atomic<std::chrono::milliseconds::rep> longest_ms_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_COMMIT_LOAD_H_
