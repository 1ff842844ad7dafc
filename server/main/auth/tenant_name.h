// What a tenant may be called.
#ifndef DROPOUTD_SERVER_MAIN_AUTH_TENANT_NAME_H_
#define DROPOUTD_SERVER_MAIN_AUTH_TENANT_NAME_H_

#include <algorithm>
#include <string_view>

namespace dropoutd {

inline constexpr std::size_t kMaxTenantNameBytes = 64;

// 1 to 64 characters of [A-Za-z0-9._-]: safe in keys, labels of metrics and logs.
inline bool IsTenantName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTenantNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_AUTH_TENANT_NAME_H_
