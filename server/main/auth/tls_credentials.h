// gRPC credentials whose certificate can change while the server runs.
#ifndef DROPOUTD_SERVER_MAIN_AUTH_TLS_CREDENTIALS_H_
#define DROPOUTD_SERVER_MAIN_AUTH_TLS_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "server/main/auth/tls_identity.h"

namespace dropoutd {

// The identity that new connections meet. Those that are open keep theirs, so that a change
// fails no call. Thread-safe.
class TlsIdentityHolder {
 public:
  // What one listener has seen of the identities.
  class Reader {
   public:
    explicit Reader(const TlsIdentityHolder& holder) : holder_(holder) {}

    // The identity, if it is not the one that was answered last.
    std::optional<TlsIdentity> Next();

   private:
    const TlsIdentityHolder& holder_;
    std::uint64_t version_ = 0;
  };

  void Set(TlsIdentity identity);

  // Owned by the holder: gRPC drops a server's credentials when it has started, and goes on
  // asking for identities.
  Reader& AddReader();

 private:
  mutable std::mutex mutex_;
  TlsIdentity identity_;
  std::uint64_t version_ = 1;
  std::deque<Reader> readers_;
};

// Credentials of one listener, that take each new connection's identity from `holder`, which must
// outlive the server. With `require_client_certificate`, a connection without a certificate of
// the identity's client_ca ends in its handshake.
std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(TlsIdentityHolder& holder,
                                                            bool require_client_certificate);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_AUTH_TLS_CREDENTIALS_H_
