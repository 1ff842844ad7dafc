#include "server/main/flags.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "server/kernels/simd_target.h"
#include "server/main/version.h"

namespace dropoutd {
namespace {

constexpr int kWrongUsage = 2;

// Every flag can also come from DROPOUTD_ and its name in upper case.
CLI::Option* WithEnvironment(CLI::Option* option, const std::string& flag) {
  std::string name = "DROPOUTD_";
  for (const char c : flag) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return option->envname(name);
}

template <typename T>
CLI::Option* AddOption(CLI::App& app, const std::string& flag, T& value, const std::string& help) {
  return WithEnvironment(app.add_option("--" + flag, value, help), flag)->capture_default_str();
}

// A count from `low` up.
template <typename T>
void AddCount(CLI::App& app, const std::string& flag, T& value, std::int64_t low,
              const std::string& help) {
  AddOption(app, flag, value, help)
      ->check(CLI::Range(low, std::numeric_limits<std::int64_t>::max()));
}

// A number of bytes from `low` up, with an optional suffix (KiB, MiB, GB, ...).
template <typename T>
void AddBytes(CLI::App& app, const std::string& flag, T& value, std::int64_t low,
              const std::string& help) {
  AddOption(app, flag, value, help)
      ->check(CLI::Range(low, std::numeric_limits<std::int64_t>::max()))
      ->transform(CLI::AsSizeValue(true).description(""));
}

// A duration above 0, as 30s, 15m or 1h30m; becomes nanoseconds.
std::string DurationToNanoseconds(std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration() ||
      duration > absl::Hours(24 * 366)) {
    return absl::StrCat("\"", text, "\", must be above 0 and at most 366 days, as 30s or 1h30m");
  }
  text = absl::StrCat(absl::ToInt64Nanoseconds(duration));
  return {};
}

void AddDuration(CLI::App& app, const std::string& flag, std::int64_t& nanoseconds,
                 const std::string& default_text, const std::string& help) {
  AddOption(app, flag, nanoseconds, help)
      ->default_str(default_text)
      ->transform(CLI::Validator(DurationToNanoseconds, "DURATION"));
}

std::string CheckListen(const std::string& address) {
  const std::string wrong =
      absl::StrCat("\"", address, "\", must be HOST:PORT (port 0 to 65535) or unix:/PATH");
  if (absl::StartsWith(address, "unix:")) {
    // The kernel's limit on a socket's path is 108 bytes with the final zero.
    return address.size() > 6 && address[5] == '/' && address.size() < 108 + 5 ? "" : wrong;
  }
  const std::size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return wrong;
  }
  // An IPv6 address needs brackets, or its last part would be taken for the port.
  const std::string host = address.substr(0, colon);
  const bool bare_ipv6 = host.find(':') != std::string::npos && host.front() != '[';
  return bare_ipv6 ? wrong : "";
}

std::string CheckStore(const std::string& store) {
  if (store == "memory") return {};
  if (absl::StartsWith(store, "sqlite:") || absl::StartsWith(store, "redis://")) {
    return absl::StrCat("\"", store, "\" is not built in this version, only memory is");
  }
  return absl::StrCat("\"", store, "\", must be memory, sqlite:PATH or redis://HOST:PORT");
}

// Flags whose names are settled and whose work is not done yet: refused, not ignored.
void AddUnbuilt(CLI::App& app, const std::string& flag, const std::string& help) {
  const auto refuse = [](const std::string&) -> std::string {
    return "is not built in this version";
  };
  WithEnvironment(app.add_option_function<std::string>(
                      "--" + flag, [](const std::string&) {}, help + " (not built yet: refused)"),
                  flag)
      ->expected(0, 1)
      ->check(CLI::Validator(refuse, ""));
}

std::string CheckSimdTarget(const std::string& name) {
  if (kernels::ForceSimdTarget(name)) return {};
  std::string known;
  for (const std::string& target : kernels::SimdTargets()) absl::StrAppend(&known, " ", target);
  return absl::StrCat("\"", name, "\", this machine has", known);
}

}  // namespace

std::optional<Flags> ParseFlags(int argc, const char* const* argv, int& exit_status) {
  Flags flags;
  std::string store = "memory";
  std::int64_t ttl = flags.limits.default_ttl.count();
  std::int64_t drain = flags.drain_timeout.count();

  CLI::App app("dropoutd: dropout layers over gRPC", "dropoutd");
  app.footer("Each flag may also be set in the environment, as DROPOUTD_ and its name in upper\n"
             "case (DROPOUTD_LISTEN, several addresses separated by commas). A flag wins.");
  app.set_version_flag("--version", std::string("dropoutd ") + kVersion);
  AddOption(app, "listen", flags.listen,
            "Address to listen on, HOST:PORT or unix:/PATH; may be given more than once; port 0 "
            "picks one")
      ->delimiter(',')
      ->check(CLI::Validator(CheckListen, "ADDRESS"));
  AddOption(app, "store", store,
            "Where state lives: memory, sqlite:PATH or redis://HOST:PORT (only memory is built)")
      ->check(CLI::Validator(CheckStore, ""));
  AddDuration(app, "session_ttl", ttl, "1h",
              "Time from a session's last call to its end, unless it says otherwise");
  AddCount(app, "max_sessions", flags.limits.max_sessions, 1, "Most sessions at once");
  AddCount(app, "max_layers_per_session", flags.limits.max_layers_per_session, 1,
           "Most layers of one session");
  AddCount(app, "max_steps_per_layer", flags.limits.max_steps_per_layer, 1,
           "Most step records of one layer; the lowest step makes room");
  AddCount(app, "max_steps", flags.limits.max_steps, 1, "Most step records in all");
  AddBytes(app, "mask_cache_bytes", flags.limits.mask_cache_bytes, 0,
           "Memory for masks of recent steps, in bytes or with a suffix as 256MiB");
  AddBytes(app, "input_cache_bytes", flags.limits.input_cache_bytes, 0,
           "Memory for inputs of recent steps whose gradient needs them (concrete, drop_connect)");
  AddBytes(app, "max_parameter_bytes", flags.limits.max_parameter_bytes, 0,
           "Memory for the parameters of all layers (concrete, drop_connect)");
  AddBytes(app, "max_message_bytes", flags.max_message_bytes, 1024,
           "Largest tensor in one message; the message around it may add 64 KiB");
  AddBytes(app, "max_bytes_in_flight", flags.max_bytes_in_flight, 1024,
           "Most bytes of requests that are worked on at once");
  AddDuration(app, "drain_timeout", drain, "10s",
              "Time that calls in flight have to finish after SIGTERM");
  AddOption(app, "simd_target", flags.simd_target,
            "Instruction set for the kernels, for tests (default: the best there is)")
      ->check(CLI::Validator(CheckSimdTarget, ""));
  AddUnbuilt(app, "shared_memory", "Lets clients on this host pass tensors in shared memory");
  AddUnbuilt(app, "shared_memory_dir", "Folder for shared memory (default /dev/shm)");
  AddUnbuilt(app, "tls_cert", "PEM file with the server's certificate chain");
  AddUnbuilt(app, "tls_key", "PEM file with the server's private key");
  AddUnbuilt(app, "tls_client_ca", "PEM file with the authority of client certificates");
  AddUnbuilt(app, "auth_tokens", "File with hashes of bearer tokens");
  AddUnbuilt(app, "metrics_listen", "HOST:PORT for Prometheus metrics");

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    exit_status = app.exit(success);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    exit_status = kWrongUsage;
    return std::nullopt;
  }
  flags.limits.default_ttl = Nanoseconds(ttl);
  flags.limits.max_ttl = std::max(flags.limits.max_ttl, flags.limits.default_ttl);
  flags.limits.max_mask_bytes = static_cast<std::size_t>(flags.max_message_bytes);
  flags.drain_timeout = Nanoseconds(drain);
  return flags;
}

}  // namespace dropoutd
