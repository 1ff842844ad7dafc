#include "client/retry.h"

#include <algorithm>
#include <random>
#include <thread>

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

  std::optional<nanoseconds> Left() const {
    if (timeout_ == nanoseconds::zero()) return std::nullopt;
    return timeout_ - (environment_.Now() - start_);
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
  for (int sent = 1;; ++sent) {
    absl::Status status = attempt(budget.Left());
    if (sent > 1 && idempotency == Idempotency::kDeletion && absl::IsNotFound(status)) {
      return absl::OkStatus();
    }
    if (!ServerWentAway(status) || sent == max_attempts) return status;
    const nanoseconds pause = backoff.Next();
    if (const auto left = budget.Left(); left.has_value() && *left <= pause) return status;
    environment.Sleep(pause);
  }
}

}  // namespace dropout
