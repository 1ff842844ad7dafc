// A server's secrets: its TLS identity and its tokens, as its files say now.
#ifndef DROPOUTD_SERVER_MAIN_AUTH_SECURITY_H_
#define DROPOUTD_SERVER_MAIN_AUTH_SECURITY_H_

#include <grpcpp/security/server_credentials.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/main/auth/authenticator.h"
#include "server/main/auth/tls_credentials.h"
#include "server/main/flags.h"
#include "server/main/reload/reloader.h"

namespace dropoutd {

// Keeps up with its files until it is destroyed, which must be after the server. Thread-safe.
class Security {
 public:
  // Reads the files that `flags` name. An error says which is wrong.
  static absl::StatusOr<std::unique_ptr<Security>> Start(const SecurityFlags& flags);

  const Authenticator& authenticator() const { return authenticator_; }

  // For the listener at `address`: TLS, or none on Unix sockets and without a certificate.
  std::shared_ptr<grpc::ServerCredentials> CredentialsFor(const std::string& address);

  // The end of the certificate, in seconds since 1970; nothing without TLS.
  std::optional<std::int64_t> certificate_expiry() const;

  // Whether a file cannot be used as it is now, so that what it held before is in force.
  bool reload_failed() const { return reloader_.failed(); }

  // Reads all files now.
  void Reload() { reloader_.ReloadAll(); }

 private:
  explicit Security(const SecurityFlags& flags);

  absl::Status LoadTls();
  absl::Status LoadTokens();

  const SecurityFlags flags_;
  Authenticator authenticator_;
  TlsIdentityHolder identity_;
  std::atomic<std::int64_t> certificate_expiry_{0};
  Reloader reloader_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_AUTH_SECURITY_H_
