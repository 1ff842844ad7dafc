#include "server/main/auth/token_table.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/main/auth/tenant_name.h"

namespace dropoutd {
namespace {

constexpr std::size_t kHashBytes = 32;

std::string Sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1 ||
      size != kHashBytes) {
    return {};  // Matches nothing.
  }
  return {digest.begin(), digest.begin() + kHashBytes};
}

absl::Status Wrong(std::size_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

std::optional<std::string> ParseHash(absl::string_view field) {
  if (!absl::ConsumePrefix(&field, "sha256:") || field.size() != 2 * kHashBytes ||
      !std::all_of(field.begin(), field.end(), absl::ascii_isxdigit)) {
    return std::nullopt;
  }
  return absl::HexStringToBytes(field);
}

std::optional<absl::Time> ParseExpiry(absl::string_view field) {
  absl::Time time;
  std::string error;
  if (!absl::ConsumePrefix(&field, "expires=") ||
      !absl::ParseTime(absl::RFC3339_full, field, &time, &error)) {
    return std::nullopt;
  }
  return time;
}

}  // namespace

absl::StatusOr<TokenTable> TokenTable::Parse(std::string_view text) {
  TokenTable table;
  std::size_t number = 0;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    const std::vector<absl::string_view> fields =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (fields.empty() || fields[0].front() == '#') continue;
    if (fields.size() < 2 || fields.size() > 3) {
      return Wrong(number, "must be TENANT sha256:HASH [expires=TIME]");
    }
    if (!IsTenantName({fields[0].data(), fields[0].size()})) {
      return Wrong(number, "the tenant must be 1 to 64 characters of [A-Za-z0-9._-]");
    }
    Entry entry{std::string(fields[0]), absl::InfiniteFuture()};
    const std::optional<std::string> hash = ParseHash(fields[1]);
    if (!hash.has_value()) {
      return Wrong(number,
                   "the second field must be sha256: and 64 hexadecimal digits, as "
                   "dropoutctl token create prints it");
    }
    if (fields.size() == 3) {
      const std::optional<absl::Time> expires = ParseExpiry(fields[2]);
      if (!expires.has_value()) {
        return Wrong(number, "the third field must be expires= and a time as 2030-01-31T12:00:00Z");
      }
      entry.expires = *expires;
    }
    if (!table.entries_.emplace(*hash, std::move(entry)).second) {
      return Wrong(number, "the hash is there twice");
    }
  }
  return table;
}

std::optional<std::string_view> TokenTable::TenantOf(std::string_view token, absl::Time now) const {
  const auto found = entries_.find(Sha256(token));
  if (found == entries_.end() || found->second.expires <= now) return std::nullopt;
  return found->second.tenant;
}

}  // namespace dropoutd
