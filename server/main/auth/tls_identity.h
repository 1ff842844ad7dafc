// The server's certificate and key, and the authority of its clients.
#ifndef DROPOUTD_SERVER_MAIN_AUTH_TLS_IDENTITY_H_
#define DROPOUTD_SERVER_MAIN_AUTH_TLS_IDENTITY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace dropoutd {

// All PEM.
struct TlsIdentity {
  std::string certificate_chain;  // The server's own certificate first.
  std::string private_key;
  std::string client_ca;  // Empty: clients need no certificate.

  friend bool operator==(const TlsIdentity&, const TlsIdentity&) = default;
};

// Whether the parts parse, and the key is the certificate's. INVALID_ARGUMENT says which part is
// wrong: while files are being replaced, a new certificate may stand beside an old key.
absl::Status Check(const TlsIdentity& identity);

// The end of the first certificate, which Check has found right, in seconds since 1970.
std::int64_t ExpiryOf(const TlsIdentity& identity);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_AUTH_TLS_IDENTITY_H_
