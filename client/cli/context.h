// What every command shares: the global options, the connection, and which command to run.
#ifndef DROPOUTD_CLIENT_CLI_CONTEXT_H_
#define DROPOUTD_CLIENT_CLI_CONTEXT_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "client/cli/errors.h"
#include "client/cli/json_output.h"
#include "client/cli/security_options.h"
#include "dropout/client.h"

namespace dropout::cli {

struct GlobalOptions {
  std::string address = "127.0.0.1:50051";
  bool json = false;
  double timeout_seconds = 60;       // Of one call. 0: no limit.
  std::string transport = "inline";  // Of tensors: a key of Transports().
  SecurityOptions security;
};

// How tensors may travel, by the names that --transport takes.
const std::map<std::string, Transport>& Transports();

// Not thread-safe.
class Context {
 public:
  GlobalOptions options;

  // Set by the subcommand that was parsed; returns the exit status.
  std::function<int()> run;

  // For `client`, and for channels besides it. Throws UsageError.
  ClientOptions client_options() const;

  // The client, made at the first use.
  Client& client();

  std::chrono::nanoseconds timeout() const;

  // Prints one JSON value to stdout, indented.
  void PrintJson(const Json& json) const;

  // Says what was done where the answer is empty: `message`, or {} as JSON.
  void PrintDone(const std::string& message) const;

 private:
  std::optional<Client> client_;
};

// Makes `function` what runs if `command` is parsed. It returns the exit status, or
// nothing, which means kExitOk. References that it captures must outlive the program's run.
template <typename Function>
void RunWhenParsed(CLI::App* command, Context& context, Function function) {
  command->callback([&context, function = std::move(function)] {
    context.run = [function]() -> int {
      if constexpr (std::is_void_v<std::invoke_result_t<Function>>) {
        function();
        return kExitOk;
      } else {
        return function();
      }
    };
  });
}

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_CONTEXT_H_
