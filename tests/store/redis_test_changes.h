// Changes and questions for the tests of Redis.
#ifndef DROPOUTD_TESTS_STORE_REDIS_TEST_CHANGES_H_
#define DROPOUTD_TESTS_STORE_REDIS_TEST_CHANGES_H_

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "server/base/error.h"
#include "server/store/store.h"
#include "tests/store/redis_process.h"

namespace dropoutd {

// A change that makes a session with one part, for an hour.
inline StoreChange Making(const std::string& document = "document") {
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = Token::Random();
  change.expected = Token();
  change.makes = SessionLimit{.prefix = "", .most_of_tenant = 1'000'000, .most = 1'000'000};
  change.parts = {{"document", document}};
  change.ttl = std::chrono::hours(1);
  return change;
}

// One that writes a field of the session that `made` makes.
inline StoreChange Writing(const StoreChange& made, const std::string& name,
                           std::optional<std::string> value, Token replaces = {}) {
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = made.incarnation;
  change.expected = made.token;
  change.writes = {{name, std::move(value), replaces}};
  return change;
}

inline std::string ReasonText(const absl::Status& status) {
  const auto reason = ReasonOf(status);
  return reason.has_value() ? std::string(ReasonName(*reason)) : status.ToString();
}

inline void ExpectDone(const absl::StatusOr<StoreResult>& result) {
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(static_cast<int>(result->outcome), static_cast<int>(StoreOutcome::kDone));
}

// What became of it; -1 for an error.
inline int OutcomeOf(const absl::StatusOr<StoreResult>& result) {
  return result.ok() ? static_cast<int>(result->outcome) : -1;
}
inline constexpr int kIsDone = static_cast<int>(StoreOutcome::kDone);

inline StoreField FieldOf(Store& store, const std::string& key, const std::string& name) {
  StoreQuery query;
  query.fields = {name};
  const auto answer = store.Query(key, query);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? answer->fields.front() : StoreField();
}

// Calls until it is answered, as a client library does.
template <typename Call>
auto Retried(Call call) {
  const auto deadline = std::chrono::steady_clock::now() + kRedisPatience;
  auto answer = call();
  while (!answer.ok() && std::chrono::steady_clock::now() < deadline) {
    EXPECT_EQ(ReasonText(answer.status()), "STORE_UNAVAILABLE");
    answer = call();
  }
  return answer;
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_REDIS_TEST_CHANGES_H_
