#include "client/cli/security_options.h"

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "client/cli/errors.h"
#include "client/cli/files.h"

namespace dropout::cli {
namespace {

std::string ContentsOf(const std::string& path) {
  return path.empty() ? std::string() : LocalResult(ReadAll(path));
}

}  // namespace

void AddSecurityOptions(CLI::App* app, SecurityOptions* options) {
  app->add_flag("--tls", options->tls, "Use TLS, with the system's authorities")
      ->envname("DROPOUTCTL_TLS");
  app->add_option("--tls_ca", options->tls_ca,
                  "PEM file with the server's authority; implies --tls")
      ->type_name("FILE")
      ->envname("DROPOUTCTL_TLS_CA");
  app->add_option("--tls_cert", options->tls_cert,
                  "PEM file with this client's certificate chain; implies --tls")
      ->type_name("FILE")
      ->envname("DROPOUTCTL_TLS_CERT");
  app->add_option("--tls_key", options->tls_key, "PEM file with its private key")
      ->type_name("FILE")
      ->envname("DROPOUTCTL_TLS_KEY");
  app->add_option("--tls_server_name", options->tls_server_name,
                  "Name in the server's certificate, if it is not the address's")
      ->type_name("NAME")
      ->envname("DROPOUTCTL_TLS_SERVER_NAME");
  app->add_option("--token", options->token,
                  "Bearer token; other users see it in the list of processes, so prefer "
                  "DROPOUTCTL_TOKEN or --token_file")
      ->type_name("TOKEN")
      ->envname("DROPOUTCTL_TOKEN");
  app->add_option("--token_file", options->token_file, "File with the bearer token")
      ->type_name("FILE")
      ->envname("DROPOUTCTL_TOKEN_FILE");
  app->add_flag("--insecure", options->insecure, "Send the token without TLS")
      ->envname("DROPOUTCTL_INSECURE");
}

void ApplySecurityOptions(const SecurityOptions& options, ClientOptions* client) {
  if (options.tls || !options.tls_ca.empty() || !options.tls_cert.empty() ||
      !options.tls_key.empty()) {
    TlsOptions& tls = client->tls.emplace();
    tls.ca_certificates = ContentsOf(options.tls_ca);
    tls.certificate_chain = ContentsOf(options.tls_cert);
    tls.private_key = ContentsOf(options.tls_key);
    tls.server_name = options.tls_server_name;
  }
  if (!options.token.empty() && !options.token_file.empty()) {
    throw UsageError("--token and --token_file: give one of them");
  }
  client->token = options.token;
  if (!options.token_file.empty()) {
    const std::string text = ContentsOf(options.token_file);
    client->token = std::string(absl::StripAsciiWhitespace(absl::string_view(text)));
  }
  client->allow_plain_token = options.insecure;
}

}  // namespace dropout::cli
