// The bearer tokens that a server accepts: their hashes, and whose they are.
#ifndef DROPOUTD_SERVER_MAIN_AUTH_TOKEN_TABLE_H_
#define DROPOUTD_SERVER_MAIN_AUTH_TOKEN_TABLE_H_

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace dropoutd {

// Immutable, so thread-safe. Holds no token, only SHA-256 hashes. A token is drawn at random
// with 256 bits, so that a hash without salt or stretching cannot be turned back.
class TokenTable {
 public:
  // Reads the text of a token file. A line is blank, a comment (#), or
  //
  //   TENANT sha256:64_HEX_DIGITS [expires=RFC3339_TIME]
  //
  // A tenant may have several tokens; a hash may stand there once. INVALID_ARGUMENT names the
  // line, and never quotes a field that might be a token pasted by mistake.
  static absl::StatusOr<TokenTable> Parse(std::string_view text);

  // The tenant of `token`, or nothing if the token is unknown or has expired. Looks up a hash,
  // so that its time says nothing of how much of a guess was right.
  std::optional<std::string_view> TenantOf(std::string_view token, absl::Time now) const;

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string tenant;
    absl::Time expires = absl::InfiniteFuture();
  };

  std::unordered_map<std::string, Entry> entries_;  // By the hash's 32 bytes.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_AUTH_TOKEN_TABLE_H_
