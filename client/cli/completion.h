// Completion scripts for shells, made from the tree of commands.
#ifndef DROPOUTD_CLIENT_CLI_COMPLETION_H_
#define DROPOUTD_CLIENT_CLI_COMPLETION_H_

#include <CLI/CLI.hpp>
#include <string>

namespace dropout::cli {

// Scripts that complete the subcommands and long options of `root` and all below it.
std::string BashCompletion(const CLI::App& root);
std::string ZshCompletion(const CLI::App& root);
std::string FishCompletion(const CLI::App& root);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_COMPLETION_H_
