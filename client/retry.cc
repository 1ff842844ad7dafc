#include "client/retry.h"

#include <algorithm>
#include <random>
#include <thread>

#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace dropout {
namespace {

using std::chrono::nanoseconds;

class SystemEnvironment final : public RetryEnvironment {
 public:
  std::chrono::steady_clock::time_point Now() override { return std::chrono::steady_clock::now(); }

  void Sleep(nanoseconds pause) override { std::this_thread::sleep_for(pause); }

  double Uniform() override {
    thread_local std::minstd_rand generator{std::random_device{}()};
    return std::uniform_real_distribution<double>()(generator);
  }
};

// The time that a call has. Measured from its start, so that no limit overflows.
class Budget {
 public:
  Budget(nanoseconds timeout, RetryEnvironment& environment)
      : timeout_(timeout), environment_(environment), start_(environment.Now()) {}

  nanoseconds Used() const { return environment_.Now() - start_; }

  std::optional<nanoseconds> Left() const {
    if (timeout_ == nanoseconds::zero()) return std::nullopt;
    return timeout_ - Used();
  }

 private:
  nanoseconds timeout_;
  RetryEnvironment& environment_;
  std::chrono::steady_clock::time_point start_;
};

// The growing pauses between attempts.
class Backoff {
 public:
  Backoff(const ClientOptions& options, RetryEnvironment& environment)
      : next_(std::min(options.initial_backoff, options.max_backoff)),
        max_(options.max_backoff),
        environment_(environment) {}

  nanoseconds Next() {
    const double factor = 0.5 + 0.5 * environment_.Uniform();
    const nanoseconds pause(static_cast<nanoseconds::rep>(factor * double(next_.count())));
    next_ = next_ > max_ / 2 ? max_ : next_ * 2;
    return pause;
  }

 private:
  nanoseconds next_;
  nanoseconds max_;
  RetryEnvironment& environment_;
};

// CANCELLED too, which this client never asks for: gRPC's servers answer it to a call that
// they have read but not yet begun when they shut down.
bool ServerWentAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status);
}

// `failure`, with how often and how long the call was tried. Its payloads stay.
absl::Status GaveUp(const absl::Status& failure, int attempts, nanoseconds time) {
  absl::Status status(failure.code(),
                      absl::StrFormat("%s (tried %d times in %.1f s)", failure.message(), attempts,
                                      std::chrono::duration<double>(time).count()));
  failure.ForEachPayload([&status](absl::string_view url, const absl::Cord& payload) {
    status.SetPayload(url, payload);
  });
  return status;
}

}  // namespace

RetryEnvironment& SystemRetryEnvironment() {
  static SystemEnvironment environment;
  return environment;
}

absl::Status RunWithRetries(const ClientOptions& options, Idempotency idempotency,
                            RetryEnvironment& environment, Attempt attempt) {
  const int max_attempts = idempotency == Idempotency::kUnsafe ? 1 : options.max_attempts;
  const Budget budget(options.timeout, environment);
  Backoff backoff(options, environment);
  absl::Status failure;  // Of the attempt before.
  for (int sent = 1;; ++sent) {
    const absl::Status status = attempt(budget.Left(), /*wait_for_ready=*/sent > 1);
    if (sent > 1 && idempotency == Idempotency::kDeletion && absl::IsNotFound(status)) {
      return absl::OkStatus();
    }
    if (sent > 1 && absl::IsDeadlineExceeded(status)) {
      return GaveUp(failure, sent, budget.Used());
    }
    if (!ServerWentAway(status) || sent == max_attempts) return status;
    failure = status;
    const nanoseconds pause = backoff.Next();
    if (const auto left = budget.Left(); left.has_value() && *left <= pause) {
      return sent > 1 ? GaveUp(status, sent, budget.Used()) : status;
    }
    if (options.on_retry != nullptr) options.on_retry(status);
    environment.Sleep(pause);
  }
}

}  // namespace dropout
