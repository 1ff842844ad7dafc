#include "server/session/session_key.h"

namespace dropoutd {
namespace {

constexpr char kSeparator = '/';

}  // namespace

std::string SessionKey(std::string_view tenant, std::string_view session_id) {
  std::string key(tenant);
  // An id with a slash is no id; it must not be read as another tenant's.
  if (!tenant.empty() || session_id.find(kSeparator) != std::string_view::npos) key += kSeparator;
  key += session_id;
  return key;
}

std::string_view TenantOf(std::string_view key) {
  const std::size_t at = key.find(kSeparator);
  return at == std::string_view::npos ? std::string_view() : key.substr(0, at);
}

std::string_view SessionIdOf(std::string_view key) {
  const std::size_t at = key.find(kSeparator);
  return at == std::string_view::npos ? key : key.substr(at + 1);
}

}  // namespace dropoutd
