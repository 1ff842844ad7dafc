#include "server/main/auth/tls_identity.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>

namespace dropoutd {
namespace {

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};

using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

Bio Reader(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate FirstCertificate(const std::string& pem) {
  const Bio bio = Reader(pem);
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// A server has nobody to ask for a passphrase.
int NoPassphrase(char*, int, int, void*) { return 0; }

Key PrivateKey(const std::string& pem) {
  const Bio bio = Reader(pem);
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
}

absl::Status CheckParts(const TlsIdentity& identity) {
  const Certificate certificate = FirstCertificate(identity.certificate_chain);
  if (certificate == nullptr) {
    return absl::InvalidArgumentError("tls_cert: holds no PEM certificate");
  }
  const Key key = PrivateKey(identity.private_key);
  if (key == nullptr) {
    return absl::InvalidArgumentError("tls_key: holds no PEM private key without a passphrase");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return absl::InvalidArgumentError(
        "tls_key: is not the key of the first certificate in tls_cert");
  }
  if (!identity.client_ca.empty() && FirstCertificate(identity.client_ca) == nullptr) {
    return absl::InvalidArgumentError("tls_client_ca: holds no PEM certificate");
  }
  return absl::OkStatus();
}

}  // namespace

std::int64_t ExpiryOf(const TlsIdentity& identity) {
  const Certificate certificate = FirstCertificate(identity.certificate_chain);
  std::tm time = {};
  if (certificate == nullptr ||
      ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &time) != 1) {
    return 0;
  }
  return timegm(&time);
}

absl::Status Check(const TlsIdentity& identity) {
  absl::Status status = CheckParts(identity);
  ERR_clear_error();  // gRPC would take what this left on the thread for its own.
  return status;
}

}  // namespace dropoutd
