// The program's own options, and all commands together.
#include <set>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/cli/commands.h"
#include "client/cli/option_types.h"

namespace dropout::cli {
namespace {

constexpr int kHelpColumn = 36;
constexpr double kMaxTimeoutSeconds = 1e9;  // Fits 64-bit nanoseconds.

// gRPC takes a text without a port for a host name, and the mistake shows as a time-out.
absl::Status ParseAddress(absl::string_view text, std::string* address) {
  *address = std::string(text);
  if (text.substr(0, 5) == "unix:" && text.size() > 5) return absl::OkStatus();
  const std::size_t colon = text.rfind(':');
  int port;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is neither HOST:PORT nor unix:/path"));
  }
  return absl::OkStatus();
}

void AddGlobalOptions(CLI::App& app, GlobalOptions* options) {
  AddParsed(&app, "--address", "ADDRESS",
            "The server, as HOST:PORT or unix:/path (default 127.0.0.1:50051)",
            [options](const std::string& text) { return ParseAddress(text, &options->address); })
      ->envname("DROPOUTCTL_ADDRESS");
  app.add_flag("--json", options->json, "Print answers, and errors of calls, as JSON");
  AddNonNegative(
      &app, "--timeout", "SECONDS", &options->timeout_seconds,
      "Time limit for one call, in seconds. Until then every command except health and call "
      "waits for a server that is away; 0: no limit (default 60)")
      ->check(CLI::Range(0.0, kMaxTimeoutSeconds).description(""));
  std::set<std::string> transports;
  for (const auto& [name, transport] : Transports()) transports.insert(name);
  app.add_option("--transport", options->transport,
                 "How tensors travel: inline (in the call's message), stream (in pieces), shm "
                 "(shared memory of a local server) or auto (default inline)")
      ->type_name("inline|stream|shm|auto")
      ->envname("DROPOUTCTL_TRANSPORT")
      ->check(CLI::IsMember(transports).description(""));
  AddSecurityOptions(&app, &options->security);
  app.set_version_flag("--version", "dropoutctl " DROPOUTCTL_VERSION, "Print the version and exit");
}

}  // namespace

void AddAll(CLI::App& app, Context& context) {
  app.get_formatter()->column_width(kHelpColumn);
  app.get_formatter()->label("Positionals", "Arguments");
  app.require_subcommand(1);
  app.fallthrough();
  AddGlobalOptions(app, &context.options);
  app.footer(
      "Exit status: 0 done; 1 the server, or the way to it, said no; 2 wrong usage.\n"
      "Options of the whole program, as --address, fit before and after every command.");
  AddSessionCommands(app, context);
  AddLayerCommands(app, context);
  AddTensorCommands(app, context);
  AddMaskCommand(app, context);
  AddParameterCommands(app, context);
  AddSharedMemoryCommands(app, context);
  AddInfoCommand(app, context);
  AddHealthCommand(app, context);
  AddDemoCommand(app, context);
  AddBenchCommand(app, context);
  AddCallCommand(app, context);
  AddTokenCommands(app, context);
  AddCompletionCommand(app, context);
}

}  // namespace dropout::cli
