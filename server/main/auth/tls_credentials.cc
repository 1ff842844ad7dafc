#include "server/main/auth/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <openssl/err.h>

#include <optional>
#include <string>
#include <utility>

namespace dropoutd {
namespace {

// gRPC asks before each handshake, holding its own lock, whether there is a new identity.
class TlsCredentials final : public grpc::ServerCredentials {
 public:
  TlsCredentials(TlsIdentityHolder& holder, bool require_client_certificate) {
    credentials_ = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            require_client_certificate ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                       : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
            Fetch, &holder.AddReader()));
  }
  ~TlsCredentials() override { grpc_server_credentials_release(credentials_); }

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  static grpc_ssl_certificate_config_reload_status Fetch(
      void* reader, grpc_ssl_server_certificate_config** config) {
    const std::optional<TlsIdentity> identity =
        static_cast<TlsIdentityHolder::Reader*>(reader)->Next();
    if (!identity.has_value()) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair{identity->private_key.c_str(),
                                          identity->certificate_chain.c_str()};
    // gRPC insists on authorities, also where it asks clients for no certificate.
    const std::string& authorities =
        identity->client_ca.empty() ? identity->certificate_chain : identity->client_ca;
    // A handshake that failed on this thread leaves its error behind, and gRPC would take it for
    // the new certificate's and go on with the old one for ever.
    ERR_clear_error();
    *config = grpc_ssl_server_certificate_config_create(authorities.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  grpc_server_credentials* credentials_;
};

}  // namespace

void TlsIdentityHolder::Set(TlsIdentity identity) {
  const std::lock_guard lock(mutex_);
  identity_ = std::move(identity);
  ++version_;
}

TlsIdentityHolder::Reader& TlsIdentityHolder::AddReader() {
  const std::lock_guard lock(mutex_);
  return readers_.emplace_back(*this);
}

std::optional<TlsIdentity> TlsIdentityHolder::Reader::Next() {
  const std::lock_guard lock(holder_.mutex_);
  if (version_ == holder_.version_) return std::nullopt;
  version_ = holder_.version_;
  return holder_.identity_;
}

std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(TlsIdentityHolder& holder,
                                                            bool require_client_certificate) {
  return std::make_shared<TlsCredentials>(holder, require_client_certificate);
}

}  // namespace dropoutd
