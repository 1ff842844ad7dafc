#include "server/main/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/kernels/simd_target.h"
#include "server/main/config_file.h"
#include "server/main/flag_options.h"
#include "server/main/listen/listen_address.h"
#include "server/main/tenant_flags.h"
#include "server/main/version.h"

namespace dropoutd {
namespace {

constexpr int kWrongUsage = 2;

// Does not quote it: there may be a password in it.
std::string CheckStore(const std::string& store) {
  const auto address = ParseStoreAddress(store);
  return address.ok() ? std::string() : std::string(address.status().message());
}

std::string CheckLogLevel(const std::string& name) {
  LogLevel level;
  if (ParseLogLevel(name, level)) return {};
  return absl::StrCat("\"", name, "\", must be debug, info, warn, error or off");
}

std::string CheckSimdTarget(const std::string& name) {
  if (kernels::ForceSimdTarget(name)) return {};
  std::string known;
  for (const std::string& target : kernels::SimdTargets()) absl::StrAppend(&known, " ", target);
  return absl::StrCat("\"", name, "\", this machine has", known);
}

void AddSecurityFlags(CLI::App& app, SecurityFlags& flags) {
  AddFile(app, "tls_cert", flags.tls_cert, "PEM file with the server's certificate chain");
  AddFile(app, "tls_key", flags.tls_key, "PEM file with the certificate's private key");
  AddFile(app, "tls_client_ca", flags.tls_client_ca,
          "PEM file with the authority of client certificates, which are then required");
  AddFile(app, "auth_tokens", flags.auth_tokens,
          "File with hashes of bearer tokens, one of which each call must then show");
  AddSwitch(app, "insecure", flags.insecure,
            "Allows addresses that other machines reach without TLS");
  AddSwitch(app, "reflection", flags.reflection, "Lets clients ask for the contract");
}

void AddAdmissionFlags(CLI::App& app, Flags& flags) {
  AddBytes(app, "max_bytes_in_flight", flags.admission.bytes_in_flight, 1024,
           "Most bytes of requests that are worked on at once");
  AddCount(app, "max_calls_per_second", flags.admission.calls_per_second, 0,
           "Most calls and operations of streams in a second; 0: no limit");
  AddCount(app, "max_streams", flags.admission.streams, 1, "Most Exchange streams at once");
  AddBytes(app, "tenant_max_bytes_in_flight", flags.tenant_admission.bytes_in_flight, 1024,
           "As max_bytes_in_flight, of each tenant");
  AddCount(app, "tenant_max_calls_per_second", flags.tenant_admission.calls_per_second, 0,
           "As max_calls_per_second, of each tenant");
  AddCount(app, "tenant_max_streams", flags.tenant_admission.streams, 1,
           "As max_streams, of each tenant");
}

void AddConnectionFlags(CLI::App& app, ConnectionLimits& limits) {
  AddCount(app, "max_connections", limits.max_connections, 0,
           "Most connections at once; 0: what the limit of open files leaves");
  AddCount(app, "max_concurrent_streams", limits.max_concurrent_streams, 1,
           "Most calls and streams at once of one connection");
  AddBytes(app, "max_header_bytes", limits.max_header_bytes, 1024,
           "Most bytes of a call's headers");
  AddDuration(app, "keepalive_time", limits.keepalive_time,
              "Silence of a connection after which its client is asked whether it is there");
  AddDuration(app, "keepalive_timeout", limits.keepalive_timeout,
              "Time that a client has to say so; else its connection is closed");
  AddDuration(app, "handshake_timeout", limits.handshake_timeout,
              "Time that a new connection has for TLS and HTTP/2 to begin");
  AddDurationOrNone(app, "max_connection_idle", limits.max_connection_idle,
                    "Time without calls after which a connection is closed");
  AddDurationOrNone(app, "max_connection_age", limits.max_connection_age,
                    "Age at which a connection, and each of its streams, is asked to end");
}

// Of --listen or --metrics_listen.
std::string NotLocal(const std::string& flag, const std::string& address) {
  return absl::StrCat("--", flag,
                      ": without TLS the server listens on loopback and Unix sockets "
                      "only, not on ",
                      address);
}

[[noreturn]] void Refuse(const std::string& message) {
  throw CLI::ValidationError(message, kWrongUsage);
}

// What no flag can know alone. Throws CLI::ValidationError.
void CheckSecurity(const Flags& flags) {
  const SecurityFlags& security = flags.security;
  if (!flags.metrics_listen.empty() && !security.insecure && !IsLocal(flags.metrics_listen)) {
    Refuse(NotLocal("metrics_listen", flags.metrics_listen) +
           "; metrics have no TLS: give --insecure if everything that reaches them is trusted "
           "(the listeners with TLS keep it)");
  }
  if (security.tls_cert.empty() != security.tls_key.empty()) {
    Refuse("--tls_cert and --tls_key: one is no use without the other");
  }
  if (!security.tls_client_ca.empty() && security.tls_cert.empty()) {
    Refuse("--tls_client_ca: needs --tls_cert and --tls_key");
  }
  for (const std::string& address : flags.listen) {
    if (security.tls_cert.empty() && !security.insecure && !IsLocal(address)) {
      Refuse(NotLocal("listen", address) +
             "; give --tls_cert and --tls_key, or --insecure if "
             "everything that reaches it is trusted");
    }
    if (!security.tls_client_ca.empty() && security.auth_tokens.empty() && IsUnixSocket(address)) {
      Refuse(absl::StrCat("--listen: nobody shows a certificate on ", address,
                          ", which needs --auth_tokens beside --tls_client_ca"));
    }
  }
}

}  // namespace

std::optional<Flags> ParseFlags(int argc, const char* const* argv, int& exit_status) {
  Flags flags;
  std::string store = "memory";
  std::string log_level = "info";

  CLI::App app("dropoutd: dropout layers over gRPC", "dropoutd");
  app.footer(
      "Each flag may also be set in the environment, as DROPOUTD_ and its name in upper\n"
      "case (DROPOUTD_LISTEN, several addresses separated by commas). A flag wins.");
  app.set_version_flag("--version", std::string("dropoutd ") + kVersion);
  AddOption(app, "listen", flags.listen,
            "Address to listen on, HOST:PORT or unix:/PATH; may be given more than once; port 0 "
            "picks one")
      ->delimiter(',')
      ->check(CLI::Validator(CheckListen, "ADDRESS"));
  AddOption(app, "store", store,
            "Where state lives: memory, sqlite:PATH[?synchronous=full], "
            "redis://[USER:PASSWORD@]HOST[:PORT][/DB], "
            "redis+sentinel://[USER:PASSWORD@]HOST[:PORT],.../PRIMARY[/DB] or "
            "redis+cluster://[USER:PASSWORD@]HOST[:PORT],...; those of Redis with "
            "?wait_replicas=N where replicas must have a change before it is answered")
      ->check(CLI::Validator(CheckStore, ""));
  AddDuration(app, "session_ttl", flags.limits.default_ttl,
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
  AddDuration(app, "drain_timeout", flags.drain_timeout,
              "Time that calls in flight have to finish after SIGTERM");
  AddOption(app, "simd_target", flags.simd_target,
            "Instruction set for the kernels, for tests (default: the best there is)")
      ->check(CLI::Validator(CheckSimdTarget, ""));
  AddSwitch(app, "shared_memory", flags.shared_memory,
            "Lets clients on this host pass tensors in shared memory");
  AddOption(app, "shared_memory_dir", flags.shared_memory_options.directory,
            "Folder in which the server makes dropoutd-UID for the files of shared memory");
  AddBytes(app, "max_shared_memory_bytes", flags.shared_memory_options.max_bytes, 4096,
           "Most shared memory at once");
  AddOption(app, "metrics_listen", flags.metrics_listen,
            "HOST:PORT for /metrics, /healthz, /readyz and /statusz, over HTTP (default: none)")
      ->check(CLI::Validator(CheckHostPort, "ADDRESS"));
  AddSecurityFlags(app, flags.security);
  AddAdmissionFlags(app, flags);
  AddConnectionFlags(app, flags.connections);
  AddDuration(app, "watchdog", flags.watchdog,
              "Time that a call may work without a sign of life before the server is not ready");
  AddTenantFlags(app, flags);
  AddOption(app, "log_level", log_level,
            "What is logged: debug (each call), info, warn, error, off")
      ->check(CLI::Validator(CheckLogLevel, ""));
  AddConfigFile(app);

  try {
    app.parse(argc, argv);
    CheckSecurity(flags);
  } catch (const CLI::Success& success) {
    exit_status = app.exit(success);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    exit_status = kWrongUsage;
    return std::nullopt;
  }
  SetTenantDefaults(flags);
  flags.limits.max_ttl = std::max(flags.limits.max_ttl, flags.limits.default_ttl);
  flags.limits.max_mask_bytes = static_cast<std::size_t>(flags.max_message_bytes);
  flags.limits.max_snapshot_bytes = static_cast<std::size_t>(flags.max_message_bytes);
  flags.store = ParseStoreAddress(store).value();  // Checked above.
  ParseLogLevel(log_level, flags.log_level);
  return flags;
}

}  // namespace dropoutd
