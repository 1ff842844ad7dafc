// dropoutd's flags and environment.
#ifndef DROPOUTD_SERVER_MAIN_FLAGS_H_
#define DROPOUTD_SERVER_MAIN_FLAGS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/memory/shared_memory.h"
#include "server/session/limits.h"

namespace dropoutd {

struct Flags {
  std::vector<std::string> listen = {"127.0.0.1:50051"};  // HOST:PORT or unix:/path.
  Limits limits;
  std::int64_t max_message_bytes = std::int64_t{64} << 20;
  std::int64_t max_bytes_in_flight = std::int64_t{1} << 30;
  bool shared_memory = false;
  SharedMemoryOptions shared_memory_options;
  Nanoseconds drain_timeout = std::chrono::seconds(10);
  std::string simd_target;  // Empty: the best there is.
};

// Parses the command line and the environment (DROPOUTD_ and the flag's name; a flag on
// the command line wins). Returns the flags, or, when the program should end at once
// (--help, --version, wrong usage), nothing, with the exit status in `exit_status` and
// the text already on standard output or standard error.
std::optional<Flags> ParseFlags(int argc, const char* const* argv, int& exit_status);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_FLAGS_H_
