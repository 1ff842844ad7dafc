#include "client/cli/context.h"

#include <chrono>
#include <iostream>

#include "client/security.h"

namespace dropout::cli {
namespace {

// A person waits: give up on a server that is away after about a second.
constexpr int kMaxAttempts = 5;

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
  made.max_attempts = kMaxAttempts;
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
