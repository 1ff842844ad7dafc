#include "client/security.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace dropout {
namespace {

// The characters of a bearer token (RFC 6750, section 2.1). gRPC aborts on what a header cannot
// have.
bool IsTokenText(absl::string_view token) {
  return std::all_of(token.begin(), token.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("-._~+/=", static_cast<char>(c));
  });
}

// Whether `address` plainly names this machine: a Unix socket or a loopback host.
bool IsLocal(absl::string_view address) {
  return absl::StartsWith(address, "unix:") || absl::StartsWith(address, "127.") ||
         absl::StartsWith(address, "localhost:") || absl::StartsWith(address, "[::1]:");
}

}  // namespace

absl::Status CheckSecurity(const std::string& address, const ClientOptions& options) {
  if (options.tls.has_value() &&
      options.tls->certificate_chain.empty() != options.tls->private_key.empty()) {
    return absl::InvalidArgumentError(
        "tls: certificate_chain and private_key are no use without each other");
  }
  if (!IsTokenText(options.token)) {
    return absl::InvalidArgumentError("token: has characters that no token has");
  }
  if (!options.token.empty() && !options.tls.has_value() && !options.allow_plain_token &&
      !IsLocal(address)) {
    return absl::InvalidArgumentError(
        "token: would cross the network unencrypted; use TLS, or allow it");
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const ClientOptions& options,
                                                          grpc::ChannelArguments* arguments) {
  if (!options.tls.has_value()) return grpc::InsecureChannelCredentials();
  const TlsOptions& tls = *options.tls;
  if (!tls.server_name.empty()) arguments->SetSslTargetNameOverride(tls.server_name);
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = tls.ca_certificates;
  ssl.pem_cert_chain = tls.certificate_chain;
  ssl.pem_private_key = tls.private_key;
  return grpc::SslCredentials(ssl);
}

void AddToken(const ClientOptions& options, grpc::ClientContext* context) {
  if (!options.token.empty()) context->AddMetadata("authorization", "Bearer " + options.token);
}

}  // namespace dropout
