// Who a call comes from.
#ifndef DROPOUTD_SERVER_MAIN_AUTH_AUTHENTICATOR_H_
#define DROPOUTD_SERVER_MAIN_AUTH_AUTHENTICATOR_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "server/main/auth/token_table.h"

namespace dropoutd {

// What calls must show.
enum class Credential {
  kNone,         // Nothing: there are no tenants.
  kToken,        // A bearer token, which names the tenant.
  kCertificate,  // A client certificate, whose common name is the tenant.
};

// Thread-safe.
class Authenticator {
 public:
  explicit Authenticator(Credential credential)
      : credential_(credential), tokens_(std::make_shared<const TokenTable>()) {}

  // The tokens for calls from now on.
  void SetTokens(TokenTable tokens);

  // The call's tenant, empty where there are none. UNAUTHENTICATED says what is missing or
  // wrong, and repeats nothing of what the client sent.
  absl::StatusOr<std::string> Authenticate(const grpc::ServerContextBase& context) const;

 private:
  absl::StatusOr<std::string> TenantOfToken(const grpc::ServerContextBase& context) const;

  const Credential credential_;
  mutable std::mutex mutex_;
  std::shared_ptr<const TokenTable> tokens_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_AUTH_AUTHENTICATOR_H_
