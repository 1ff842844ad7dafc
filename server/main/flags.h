// dropoutd's flags and environment.
#ifndef DROPOUTD_SERVER_MAIN_FLAGS_H_
#define DROPOUTD_SERVER_MAIN_FLAGS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/main/gate/admission.h"
#include "server/main/listen/connection_limits.h"
#include "server/main/log/log.h"
#include "server/memory/shared_memory.h"
#include "server/session/limits.h"
#include "server/store/open_store.h"

namespace dropoutd {

struct SecurityFlags {
  std::string tls_cert;  // Paths of files; empty: none.
  std::string tls_key;
  std::string tls_client_ca;
  std::string auth_tokens;
  bool insecure = false;
  bool reflection = true;

  // Whether calls show credentials, which name their tenant.
  bool has_tenants() const { return !auth_tokens.empty() || !tls_client_ca.empty(); }
};

struct Flags {
  std::vector<std::string> listen = {"127.0.0.1:50051"};  // HOST:PORT or unix:/path.
  Limits limits;
  StoreAddress store;
  std::int64_t max_message_bytes = std::int64_t{64} << 20;
  bool shared_memory = false;
  SharedMemoryOptions shared_memory_options;
  Nanoseconds drain_timeout = std::chrono::seconds(10);
  std::string simd_target;  // Empty: the best there is.
  SecurityFlags security;
  std::string metrics_listen;  // HOST:PORT; empty: no metrics.
  AdmissionLimits admission{.bytes_in_flight = std::int64_t{1} << 30, .streams = 10'000};
  AdmissionLimits tenant_admission{.bytes_in_flight = std::int64_t{512} << 20, .streams = 1'000};
  ConnectionLimits connections;
  Nanoseconds watchdog = std::chrono::seconds(30);
  LogLevel log_level = LogLevel::info;
};

// Parses the command line, the environment (DROPOUTD_ and the flag's name) and the file that
// --config names; what comes first there wins. Returns the flags, or, when the program should end
// at once
// (--help, --version, wrong usage), nothing, with the exit status in `exit_status` and
// the text already on standard output or standard error.
std::optional<Flags> ParseFlags(int argc, const char* const* argv, int& exit_status);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_FLAGS_H_
