// The file with flags that --config names.
#ifndef DROPOUTD_SERVER_MAIN_CONFIG_FILE_H_
#define DROPOUTD_SERVER_MAIN_CONFIG_FILE_H_

#include <CLI/CLI.hpp>

namespace dropoutd {

// Adds --config to `app`: a TOML or INI file of `flag = value` lines. A flag on the command line
// goes before the environment, and that before the file. What is no flag is wrong usage.
void AddConfigFile(CLI::App& app);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_CONFIG_FILE_H_
