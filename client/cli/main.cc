// dropoutctl: the command-line client of the dropout service.
#include <malloc.h>

#include <algorithm>
#include <clocale>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "client/cli/commands.h"
#include "client/cli/context.h"

namespace {

using dropout::cli::CallError;
using dropout::cli::Context;
using dropout::cli::kExitOk;
using dropout::cli::kExitRefused;
using dropout::cli::kExitUsage;
using dropout::cli::UsageError;

// Answers of megabytes come and go: the heap keeps their memory for the next ones.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

int ReportUsage(const std::string& message) {
  std::cerr << "error: " << message << '\n';
  return kExitUsage;
}

// Whether the words end at a group of commands, as "session".
bool LacksCommand(const CLI::App& app) {
  const CLI::App* last = &app;
  while (!last->get_subcommands().empty()) last = last->get_subcommands().front();
  return !last->get_subcommands([](const CLI::App*) { return true; }).empty();
}

int ReportParse(const CLI::App& app, const CLI::ParseError& error) {
  // --help and --version arrive as errors with status 0.
  if (error.get_exit_code() == 0) return app.exit(error);
  // CLI11 would say only that there is no command.
  const std::vector<std::string> unknown = app.remaining(true);
  const bool unknown_command = !unknown.empty() && LacksCommand(app);
  return ReportUsage((unknown_command ? "unknown command or option " + unknown[0] : error.what()) +
                     std::string("\nRun with --help for more information."));
}

// The arguments as CLI11 takes them: without the program's name, the last one first. CLI11
// would take the next argument for the value of "--name=", so that becomes two arguments.
std::vector<std::string> Arguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (const char* const* word = argv + 1; word < argv + argc; ++word) {
    const std::string argument = *word;
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      arguments.push_back(argument.substr(0, argument.size() - 1));
      arguments.emplace_back();
    } else {
      arguments.push_back(argument);
    }
  }
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

int ReportCall(const Context& context, const CallError& error) {
  if (context.options.json) {
    std::cerr << dropout::cli::DumpJson(
                     dropout::cli::ErrorJson(error.code, error.reason, error.what()))
              << '\n';
  } else {
    std::cerr << "error: " << error.code << (error.reason.empty() ? "" : " ") << error.reason
              << ": " << error.what() << '\n';
  }
  return kExitRefused;
}

int Run(const Context& context) {
  try {
    const int status = context.run();
    std::cout.flush();
    return std::cout.good() ? status : ReportUsage("cannot write to standard output");
  } catch (const CallError& error) {
    return ReportCall(context, error);
  } catch (const UsageError& error) {
    return ReportUsage(error.what());
  } catch (const std::bad_alloc&) {
    return ReportUsage("not enough memory");
  }
}

}  // namespace

int main(int argc, char** argv) {
  KeepFreedMemory();
  std::setlocale(LC_CTYPE, "");
  CLI::App app("Command-line client of the dropout service", "dropoutctl");
  Context context;
  dropout::cli::AddAll(app, context);
  try {
    app.parse(Arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    return ReportParse(app, error);
  }
  return Run(context);
}
