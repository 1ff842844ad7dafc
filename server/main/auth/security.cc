#include "server/main/auth/security.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/main/auth/token_table.h"
#include "server/main/listen/listen_address.h"

namespace dropoutd {
namespace {

Credential CredentialOf(const SecurityFlags& flags) {
  if (!flags.auth_tokens.empty()) return Credential::kToken;
  return flags.tls_client_ca.empty() ? Credential::kNone : Credential::kCertificate;
}

}  // namespace

Security::Security(const SecurityFlags& flags)
    : flags_(flags), authenticator_(CredentialOf(flags)) {}

absl::StatusOr<std::unique_ptr<Security>> Security::Start(const SecurityFlags& flags) {
  std::unique_ptr<Security> security(new Security(flags));
  if (!flags.tls_cert.empty()) DROPOUTD_RETURN_IF_ERROR(security->LoadTls());
  if (!flags.auth_tokens.empty()) DROPOUTD_RETURN_IF_ERROR(security->LoadTokens());
  security->reloader_.Start();
  return security;
}

absl::Status Security::LoadTls() {
  std::vector<std::string> paths = {flags_.tls_cert, flags_.tls_key};
  if (!flags_.tls_client_ca.empty()) paths.push_back(flags_.tls_client_ca);
  return reloader_.Add({std::move(paths), [this](std::vector<std::string> contents) {
                          const bool with_ca = contents.size() > 2;
                          TlsIdentity identity{std::move(contents[0]), std::move(contents[1]),
                                               with_ca ? std::move(contents[2]) : ""};
                          // A file of authorities that has become empty must not let all in.
                          if (with_ca && identity.client_ca.empty()) {
                            return absl::InvalidArgumentError("tls_client_ca: is empty");
                          }
                          DROPOUTD_RETURN_IF_ERROR(Check(identity));
                          certificate_expiry_ = ExpiryOf(identity);
                          identity_.Set(std::move(identity));
                          return absl::OkStatus();
                        }});
}

absl::Status Security::LoadTokens() {
  return reloader_.Add({{flags_.auth_tokens}, [this](std::vector<std::string> contents) {
                          auto tokens = TokenTable::Parse(contents[0]);
                          if (!tokens.ok()) {
                            return absl::InvalidArgumentError(
                                absl::StrCat("auth_tokens: ", tokens.status().message()));
                          }
                          authenticator_.SetTokens(*std::move(tokens));
                          return absl::OkStatus();
                        }});
}

std::optional<std::int64_t> Security::certificate_expiry() const {
  if (flags_.tls_cert.empty()) return std::nullopt;
  return certificate_expiry_;
}

std::shared_ptr<grpc::ServerCredentials> Security::CredentialsFor(const std::string& address) {
  if (flags_.tls_cert.empty() || IsUnixSocket(address)) return grpc::InsecureServerCredentials();
  return MakeTlsCredentials(identity_, !flags_.tls_client_ca.empty());
}

}  // namespace dropoutd
