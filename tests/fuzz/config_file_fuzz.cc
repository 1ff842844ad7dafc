// Fuzz target: the file of flags, whatever its text.
#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "server/main/config_file.h"

namespace {

// Flags of each kind. Made once: to make them takes longer than to read a file.
struct Flags {
  Flags() {
    app.add_option("--listen", listen);
    app.add_option("--max_sessions", max_sessions)->check(CLI::Range(1, 1000));
    app.add_flag("--insecure", insecure);
    dropoutd::AddConfigFile(app);
  }

  CLI::App app;
  std::vector<std::string> listen;
  std::uint64_t max_sessions = 1;
  bool insecure = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Flags flags;
  flags.app.clear();
  std::istringstream file(std::string(reinterpret_cast<const char*>(data), size));
  try {
    flags.app.parse_from_stream(file);
  } catch (const CLI::ParseError&) {
    return 0;  // Wrong usage, which is said and ends the program.
  }
  // What was read obeys the flags' rules.
  if (flags.max_sessions < 1 || flags.max_sessions > 1000) std::abort();
  return 0;
}
