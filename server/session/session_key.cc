#include "server/session/session_key.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"

namespace dropoutd {
namespace {

constexpr char kSeparator = '/';
constexpr std::size_t kMaxSessionIdBytes = 128;

bool IsIdCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

std::string SessionKey(std::string_view tenant, std::string_view session_id) {
  std::string key(tenant);
  // An id with a slash is no id; it must not be read as another tenant's.
  if (!tenant.empty() || session_id.find(kSeparator) != std::string_view::npos) key += kSeparator;
  key += session_id;
  return key;
}

absl::Status CheckSessionId(std::string_view id) {
  if (id.size() > kMaxSessionIdBytes || !std::all_of(id.begin(), id.end(), IsIdCharacter)) {
    return MakeError(Reason::kInvalidSession,
                     absl::StrCat("session_id: must be 1 to ", kMaxSessionIdBytes,
                                  " characters of [A-Za-z0-9._-]"));
  }
  return absl::OkStatus();
}

std::string_view TenantOf(std::string_view key) {
  const std::size_t at = key.find(kSeparator);
  return at == std::string_view::npos ? std::string_view() : key.substr(0, at);
}

std::string_view SessionIdOf(std::string_view key) {
  const std::size_t at = key.find(kSeparator);
  return at == std::string_view::npos ? key : key.substr(at + 1);
}

absl::Status SessionNotFound(std::string_view key) {
  return MakeError(Reason::kSessionNotFound,
                   absl::StrCat("session_id: no session ", Quote(SessionIdOf(key))));
}

absl::Status SessionExists(std::string_view key) {
  return MakeError(Reason::kSessionExists, absl::StrCat("session_id: ", Quote(SessionIdOf(key)),
                                                        " is taken by another session"));
}

}  // namespace dropoutd
