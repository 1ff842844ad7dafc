#include "server/main/auth/authenticator.h"

#include <grpc/grpc_security_constants.h>

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "server/base/error.h"
#include "server/main/auth/tenant_name.h"

namespace dropoutd {
namespace {

absl::Status Unauthenticated(std::string_view message) {
  return MakeError(Reason::kUnauthenticated, message);
}

absl::StatusOr<std::string> TenantOfCertificate(const grpc::ServerContextBase& context) {
  const auto names = context.auth_context()->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  if (names.size() != 1 || !IsTenantName({names[0].data(), names[0].size()})) {
    return Unauthenticated(
        "the client certificate's common name must be the tenant: 1 to 64 "
        "characters of [A-Za-z0-9._-]");
  }
  return std::string(names[0].data(), names[0].size());
}

}  // namespace

void Authenticator::SetTokens(TokenTable tokens) {
  auto shared = std::make_shared<const TokenTable>(std::move(tokens));
  const std::lock_guard lock(mutex_);
  tokens_.swap(shared);
}

absl::StatusOr<std::string> Authenticator::Authenticate(
    const grpc::ServerContextBase& context) const {
  switch (credential_) {
    case Credential::kNone:
      return std::string();
    case Credential::kToken:
      return TenantOfToken(context);
    case Credential::kCertificate:
      return TenantOfCertificate(context);
  }
  return Unauthenticated("");
}

absl::StatusOr<std::string> Authenticator::TenantOfToken(
    const grpc::ServerContextBase& context) const {
  constexpr absl::string_view kScheme = "Bearer ";
  const auto [begin, end] = context.client_metadata().equal_range("authorization");
  if (begin == end || std::next(begin) != end) {
    return Unauthenticated("metadata authorization: must be there once, as Bearer TOKEN");
  }
  const absl::string_view header(begin->second.data(), begin->second.size());
  if (!absl::StartsWithIgnoreCase(header, kScheme)) {
    return Unauthenticated("metadata authorization: must be Bearer TOKEN");
  }
  std::shared_ptr<const TokenTable> tokens;
  {
    const std::lock_guard lock(mutex_);
    tokens = tokens_;
  }
  const absl::string_view token = header.substr(kScheme.size());
  const auto tenant = tokens->TenantOf({token.data(), token.size()}, absl::Now());
  if (!tenant.has_value()) {
    return Unauthenticated("metadata authorization: the token is unknown, revoked or expired");
  }
  return std::string(*tenant);
}

}  // namespace dropoutd
