// The groups of commands. Each function adds its subcommands to `app`; `context` must
// outlive the parsing and the run.
#ifndef DROPOUTD_CLIENT_CLI_COMMANDS_H_
#define DROPOUTD_CLIENT_CLI_COMMANDS_H_

#include <CLI/CLI.hpp>

#include "client/cli/context.h"

namespace dropout::cli {

void AddSessionCommands(CLI::App& app, Context& context);        // session create|get|list|delete,
void AddSessionCopyCommands(CLI::App& group, Context& context);  // and export|import|fork
void AddLayerCommands(CLI::App& app, Context& context);          // layer ..., mode
void AddTensorCommands(CLI::App& app, Context& context);         // forward, backward, release
void AddParameterCommands(CLI::App& app, Context& context);      // parameters set|get
void AddMaskCommand(CLI::App& app, Context& context);            // mask
void AddSharedMemoryCommands(CLI::App& app, Context& context);   // shared-memory create|delete
void AddInfoCommand(CLI::App& app, Context& context);            // info
void AddDemoCommand(CLI::App& app, Context& context);            // demo
void AddBenchCommand(CLI::App& app, Context& context);           // bench
void AddHealthCommand(CLI::App& app, Context& context);          // health
void AddTokenCommands(CLI::App& app, Context& context);          // token create
void AddCallCommand(CLI::App& app, Context& context);            // call

// completion bash|zsh|fish. Describes the tree as it is when the command runs.
void AddCompletionCommand(CLI::App& app, Context& context);

// Adds every command and the global options. `app` is the root.
void AddAll(CLI::App& app, Context& context);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_COMMANDS_H_
