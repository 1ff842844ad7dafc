// The options with which dropoutctl proves who it is, and knows the server.
#ifndef DROPOUTD_CLIENT_CLI_SECURITY_OPTIONS_H_
#define DROPOUTD_CLIENT_CLI_SECURITY_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "dropout/client.h"

namespace dropout::cli {

struct SecurityOptions {
  bool tls = false;
  std::string tls_ca;  // Paths of PEM files.
  std::string tls_cert;
  std::string tls_key;
  std::string tls_server_name;
  std::string token;
  std::string token_file;
  bool insecure = false;
};

void AddSecurityOptions(CLI::App* app, SecurityOptions* options);

// Reads the files that `options` name into `client`. Throws UsageError.
void ApplySecurityOptions(const SecurityOptions& options, ClientOptions* client);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_SECURITY_OPTIONS_H_
