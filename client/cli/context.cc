#include "client/cli/context.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "client/security.h"

namespace dropout::cli {
namespace {

// What tells a person who waits for a server why nothing happens; once a program.
std::function<void(const absl::Status&)> RetryNotice(const GlobalOptions& options) {
  if (options.json || isatty(STDERR_FILENO) == 0) return nullptr;
  const std::string limit = options.timeout_seconds > 0
                                ? absl::StrFormat(" for up to %g s", options.timeout_seconds)
                                : std::string();
  const auto is_said = std::make_shared<std::atomic<bool>>(false);
  return [address = options.address, limit, is_said](const absl::Status& failure) {
    if (is_said->exchange(true)) return;
    std::cerr << absl::StrFormat("%s is away (%s); trying again%s (--timeout)\n", address,
                                 failure.message(), limit);
  };
}

}  // namespace

const std::map<std::string, Transport>& Transports() {
  static const auto* const transports =
      new std::map<std::string, Transport>{{"auto", Transport::kAuto},
                                           {"inline", Transport::kInline},
                                           {"shm", Transport::kSharedMemory},
                                           {"stream", Transport::kStream}};
  return *transports;
}

ClientOptions Context::client_options() const {
  ClientOptions made;
  made.transport = Transports().at(options.transport);
  made.timeout = timeout();
  made.on_retry = RetryNotice(options);
  ApplySecurityOptions(options.security, &made);
  CheckLocal(CheckSecurity(options.address, made));
  return made;
}

Client& Context::client() {
  if (!client_.has_value()) {
    client_ = LocalResult(Client::Connect(options.address, client_options()));
  }
  return *client_;
}

std::chrono::nanoseconds Context::timeout() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(options.timeout_seconds));
}

void Context::PrintJson(const Json& json) const { std::cout << DumpJson(json) << '\n'; }

void Context::PrintDone(const std::string& message) const {
  if (options.json) {
    PrintJson(Json::object());
  } else {
    std::cout << message << '\n';
  }
}

}  // namespace dropout::cli
