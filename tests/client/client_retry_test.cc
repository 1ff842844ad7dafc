#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "client/retry.h"

namespace dropout {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::ElementsAre;

// A clock that only moves when it is told to.
class FakeEnvironment final : public RetryEnvironment {
 public:
  std::chrono::steady_clock::time_point Now() override { return now_; }

  void Sleep(nanoseconds pause) override {
    pauses.push_back(pause);
    now_ += pause;
  }

  double Uniform() override { return uniform; }

  void Advance(nanoseconds time) { now_ += time; }

  double uniform = 0.0;
  std::vector<nanoseconds> pauses;

 private:
  std::chrono::steady_clock::time_point now_;
};

class RetryTest : public testing::Test {
 protected:
  RetryTest() {
    options_.timeout = seconds(60);
    options_.initial_backoff = milliseconds(100);
    options_.max_backoff = milliseconds(500);
  }

  // Answers with `answers` in turn, the last one for ever; each takes `duration`.
  absl::Status Run(Idempotency idempotency, std::vector<absl::Status> answers,
                   nanoseconds duration = nanoseconds::zero()) {
    return RunWithRetries(options_, idempotency, environment_,
                          [&](std::optional<nanoseconds> time_left, bool wait_for_ready) {
                            EXPECT_EQ(wait_for_ready, !times_left_.empty());
                            times_left_.push_back(time_left);
                            environment_.Advance(duration);
                            const std::size_t i = times_left_.size() - 1;
                            return i < answers.size() ? answers[i] : answers.back();
                          });
  }

  std::size_t attempts() const { return times_left_.size(); }

  ClientOptions options_;
  FakeEnvironment environment_;
  std::vector<std::optional<nanoseconds>> times_left_;
};

TEST_F(RetryTest, SuccessIsNotRepeated) {
  EXPECT_TRUE(Run(Idempotency::kSafe, {absl::OkStatus()}).ok());
  EXPECT_EQ(attempts(), 1u);
  EXPECT_TRUE(environment_.pauses.empty());
}

TEST_F(RetryTest, UnavailableIsRepeatedUntilItWorks) {
  const absl::Status down = absl::UnavailableError("down");
  EXPECT_TRUE(Run(Idempotency::kSafe, {down, down, absl::OkStatus()}).ok());
  EXPECT_EQ(attempts(), 3u);
}

TEST_F(RetryTest, CancelledByAServerThatShutsDownIsRepeated) {
  const absl::Status cancelled = absl::CancelledError("CANCELLED");
  EXPECT_TRUE(Run(Idempotency::kSafe, {cancelled, absl::OkStatus()}).ok());
  EXPECT_EQ(attempts(), 2u);
  times_left_.clear();
  EXPECT_EQ(Run(Idempotency::kUnsafe, {cancelled, absl::OkStatus()}), cancelled);
  EXPECT_EQ(attempts(), 1u);
}

TEST_F(RetryTest, OtherErrorsAreNotRepeated) {
  for (const absl::Status& error :
       {absl::UnknownError("no"), absl::InvalidArgumentError("no"),
        absl::DeadlineExceededError("no"), absl::NotFoundError("no"),
        absl::AlreadyExistsError("no"), absl::ResourceExhaustedError("no"),
        absl::AbortedError("no"), absl::UnimplementedError("no"), absl::InternalError("no")}) {
    times_left_.clear();
    EXPECT_EQ(Run(Idempotency::kSafe, {error}), error);
    EXPECT_EQ(attempts(), 1u) << error;
  }
}

TEST_F(RetryTest, GivesUpAfterMaxAttemptsWithTheLastStatus) {
  options_.max_attempts = 3;
  const absl::Status status =
      Run(Idempotency::kSafe, {absl::UnavailableError("1"), absl::UnavailableError("2"),
                               absl::UnavailableError("3"), absl::OkStatus()});
  EXPECT_EQ(status, absl::UnavailableError("3"));
  EXPECT_EQ(attempts(), 3u);
}

TEST_F(RetryTest, TimeAloneEndsRetries) {
  const absl::Status down = absl::UnavailableError("down");
  std::vector<absl::Status> answers(100, down);
  answers.push_back(absl::OkStatus());
  EXPECT_TRUE(Run(Idempotency::kSafe, answers).ok());
  EXPECT_EQ(attempts(), 101u);

  times_left_.clear();
  const absl::Status status = Run(Idempotency::kSafe, {down}, seconds(1));
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()),
              testing::MatchesRegex("down .tried [0-9]+ times in .*s."));
  EXPECT_LE(*times_left_.back(), seconds(2));
}

TEST_F(RetryTest, ALaterAttemptThatRunsOutOfTimeSaysWhyThereWereMore) {
  absl::Status draining = absl::UnavailableError("the server is draining");
  draining.SetPayload("dropout-error-reason", absl::Cord("DRAINING"));
  const absl::Status status =
      Run(Idempotency::kSafe, {draining, absl::DeadlineExceededError("Deadline Exceeded")});
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()),
              testing::StartsWith("the server is draining (tried 2"));
  EXPECT_EQ(ErrorReason(status), "DRAINING");
  times_left_.clear();
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      Run(Idempotency::kSafe, {absl::DeadlineExceededError("Deadline Exceeded")})));
}

TEST_F(RetryTest, EachRepetitionIsAnnounced) {
  std::vector<absl::Status> announced;
  options_.on_retry = [&](const absl::Status& failure) { announced.push_back(failure); };
  const absl::Status down = absl::UnavailableError("down");
  const absl::Status cancelled = absl::CancelledError("cancelled");
  EXPECT_TRUE(Run(Idempotency::kSafe, {down, cancelled, absl::OkStatus()}).ok());
  EXPECT_THAT(announced, ElementsAre(down, cancelled));
}

TEST_F(RetryTest, UnsafeCallsAreSentOnce) {
  EXPECT_TRUE(absl::IsUnavailable(
      Run(Idempotency::kUnsafe, {absl::UnavailableError("down"), absl::OkStatus()})));
  EXPECT_EQ(attempts(), 1u);
}

TEST_F(RetryTest, PausesDoubleUpToTheirMaximum) {
  options_.max_attempts = 6;
  environment_.uniform = 0.0;  // Pauses at their shortest: a half.
  EXPECT_FALSE(Run(Idempotency::kSafe, {absl::UnavailableError("down")}).ok());
  EXPECT_THAT(environment_.pauses,
              ElementsAre(milliseconds(50), milliseconds(100), milliseconds(200), milliseconds(250),
                          milliseconds(250)));
}

TEST_F(RetryTest, JitterStretchesThePause) {
  options_.max_attempts = 2;
  environment_.uniform = 0.5;
  EXPECT_FALSE(Run(Idempotency::kSafe, {absl::UnavailableError("down")}).ok());
  EXPECT_THAT(environment_.pauses, ElementsAre(milliseconds(75)));
}

TEST_F(RetryTest, InitialBackoffAboveTheMaximumIsTheMaximum) {
  options_.max_attempts = 2;
  options_.initial_backoff = seconds(3);
  EXPECT_FALSE(Run(Idempotency::kSafe, {absl::UnavailableError("down")}).ok());
  EXPECT_THAT(environment_.pauses, ElementsAre(milliseconds(250)));
}

TEST_F(RetryTest, TimeLeftCoversAttemptsAndPauses) {
  options_.timeout = seconds(1);
  options_.max_attempts = 3;
  EXPECT_FALSE(Run(Idempotency::kSafe, {absl::UnavailableError("down")}, milliseconds(10)).ok());
  EXPECT_THAT(times_left_, ElementsAre(seconds(1), milliseconds(1000 - 10 - 50),
                                       milliseconds(1000 - 20 - 50 - 100)));
}

TEST_F(RetryTest, DoesNotPausePastTheTimeout) {
  options_.timeout = milliseconds(150);  // Reached by the second pause.
  EXPECT_TRUE(absl::IsUnavailable(Run(Idempotency::kSafe, {absl::UnavailableError("down")})));
  EXPECT_EQ(attempts(), 2u);
  EXPECT_THAT(environment_.pauses, ElementsAre(milliseconds(50)));
}

TEST_F(RetryTest, TimeoutZeroIsNoLimit) {
  options_.timeout = nanoseconds::zero();
  options_.max_attempts = 8;
  EXPECT_FALSE(Run(Idempotency::kSafe, {absl::UnavailableError("down")}, seconds(1000)).ok());
  EXPECT_EQ(attempts(), 8u);
  EXPECT_EQ(times_left_.back(), std::nullopt);
}

TEST_F(RetryTest, RepeatedDeletionThatFindsNothingIsDone) {
  EXPECT_TRUE(
      Run(Idempotency::kDeletion, {absl::UnavailableError("down"), absl::NotFoundError("gone")})
          .ok());
  EXPECT_EQ(attempts(), 2u);
}

TEST_F(RetryTest, FirstDeletionThatFindsNothingFails) {
  EXPECT_TRUE(absl::IsNotFound(Run(Idempotency::kDeletion, {absl::NotFoundError("never was")})));
}

TEST_F(RetryTest, OtherRepeatedCallThatFindsNothingFails) {
  EXPECT_TRUE(absl::IsNotFound(
      Run(Idempotency::kSafe, {absl::UnavailableError("down"), absl::NotFoundError("gone")})));
}

TEST(SystemRetryEnvironmentTest, UniformStaysInItsRange) {
  for (int i = 0; i < 1000; ++i) {
    const double value = SystemRetryEnvironment().Uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
  }
}

TEST(SystemRetryEnvironmentTest, SleepTakesAtLeastItsTime) {
  RetryEnvironment& environment = SystemRetryEnvironment();
  const auto start = environment.Now();
  environment.Sleep(milliseconds(1));
  EXPECT_GE(environment.Now() - start, milliseconds(1));
}

}  // namespace
}  // namespace dropout
