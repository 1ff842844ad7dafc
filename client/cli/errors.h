// How a command ends early. CLI11 reports by exceptions, and so do the commands; main.cc
// turns each kind into its exit status.
#ifndef DROPOUTD_CLIENT_CLI_ERRORS_H_
#define DROPOUTD_CLIENT_CLI_ERRORS_H_

#include <stdexcept>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dropout::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitRefused = 1;  // The server, or the way to it, said no.
inline constexpr int kExitUsage = 2;    // Wrong arguments, or a local file that cannot be used.

// Ends the program with kExitUsage.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Ends the program with kExitRefused.
class CallError : public std::runtime_error {
 public:
  CallError(std::string code_name, std::string error_reason, const std::string& message)
      : std::runtime_error(message), code(std::move(code_name)), reason(std::move(error_reason)) {}

  const std::string code;    // "NOT_FOUND", ...
  const std::string reason;  // "SESSION_NOT_FOUND", ..., or "" where the server gave none.
};

// Results of calls: throw CallError if not OK.
void CheckCall(const absl::Status& status);

template <typename T>
T CallResult(absl::StatusOr<T> result) {
  CheckCall(result.status());
  return *std::move(result);
}

// Results of work on this machine: throw UsageError if not OK.
inline void CheckLocal(const absl::Status& status) {
  if (!status.ok()) throw UsageError(std::string(status.message()));
}

template <typename T>
T LocalResult(absl::StatusOr<T> result) {
  CheckLocal(result.status());
  return *std::move(result);
}

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_ERRORS_H_
