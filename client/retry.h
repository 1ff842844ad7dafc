// The loop that repeats a call when the server went away.
#ifndef DROPOUTD_CLIENT_RETRY_H_
#define DROPOUTD_CLIENT_RETRY_H_

#include <chrono>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "client/idempotency.h"
#include "dropout/client.h"

namespace dropout {

// Time and chance, so that tests can replace them. Implementations are thread-safe.
class RetryEnvironment {
 public:
  virtual ~RetryEnvironment() = default;

  virtual std::chrono::steady_clock::time_point Now() = 0;
  virtual void Sleep(std::chrono::nanoseconds pause) = 0;
  virtual double Uniform() = 0;  // In [0, 1).
};

// The steady clock and the calling thread's own random numbers. Lives for ever.
RetryEnvironment& SystemRetryEnvironment();

// Sends a call once. `time_left` is what remains of the whole call's time; empty: no
// limit. `wait_for_ready`: to wait for a connection where there is none, and not to fail.
using Attempt = absl::FunctionRef<absl::Status(std::optional<std::chrono::nanoseconds> time_left,
                                               bool wait_for_ready)>;

// Runs `attempt` until its status is neither UNAVAILABLE nor CANCELLED (which may be the
// answer of a server that shuts down), options.max_attempts are used up, or the next pause
// would outlast options.timeout. Pause i is initial_backoff * 2^i, at most max_backoff, times
// a random factor in [1/2, 1). The first attempt fails at once where there is no connection,
// later ones wait for it: who polls for it finds a server that is back, and who sleeps does not.
//
// Returns the last status; where a later attempt ran out of time, that of the one before, which
// says why, and how long the call was tried.
absl::Status RunWithRetries(const ClientOptions& options, Idempotency idempotency,
                            RetryEnvironment& environment, Attempt attempt);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_RETRY_H_
