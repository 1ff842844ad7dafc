#include "server/store/open_store.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/redis_store.h"

namespace dropoutd {
namespace {

constexpr std::string_view kSqlite = "sqlite:";
constexpr std::string_view kRedis = "redis://";
constexpr std::string_view kFull = "?synchronous=full";

absl::Status Invalid(std::string_view what) {
  return absl::InvalidArgumentError(absl::string_view(what.data(), what.size()));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

absl::StatusOr<std::string> PercentDecoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return Invalid("a % must be followed by two hexadecimal digits");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

absl::StatusOr<int> Number(std::string_view text, int least, int most, const char* what) {
  int number = 0;
  if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &number) || number < least ||
      number > most) {
    return Invalid(absl::StrCat("the ", what, " must be a number in [", least, ", ", most, "]"));
  }
  return number;
}

absl::StatusOr<RedisAddress> ParseRedis(std::string_view text) {
  RedisAddress address;
  const std::size_t at = text.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view who = text.substr(0, at);
    const std::size_t colon = who.find(':');
    if (colon == std::string_view::npos) return Invalid("must have USER:PASSWORD before the @");
    DROPOUTD_ASSIGN_OR_RETURN(address.user, PercentDecoded(who.substr(0, colon)));
    DROPOUTD_ASSIGN_OR_RETURN(address.password, PercentDecoded(who.substr(colon + 1)));
    if (address.password.empty()) return Invalid("must have a password between the : and the @");
    text.remove_prefix(at + 1);
  }
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    if (slash + 1 < text.size()) {
      DROPOUTD_ASSIGN_OR_RETURN(address.database,
                                Number(text.substr(slash + 1), 0, 1'000'000, "database"));
    }
    text = text.substr(0, slash);
  }
  const std::size_t bracket = text.rfind(']');  // Of an IPv6 address.
  const std::size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    DROPOUTD_ASSIGN_OR_RETURN(address.port, Number(text.substr(colon + 1), 1, 65535, "port"));
    text = text.substr(0, colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  DROPOUTD_ASSIGN_OR_RETURN(address.host, PercentDecoded(text));
  if (address.host.empty()) return Invalid("must have a host: redis://HOST:PORT");
  return address;
}

}  // namespace

absl::StatusOr<StoreAddress> ParseStoreAddress(std::string_view text) {
  if (text == "memory") return StoreAddress();
  if (text.starts_with(kSqlite)) {
    SqliteAddress address;
    text.remove_prefix(kSqlite.size());
    if (text.ends_with(kFull)) {
      address.synchronous_full = true;
      text.remove_suffix(kFull.size());
    }
    if (text.empty()) return Invalid("must have a path: sqlite:PATH");
    address.path = text;
    return address;
  }
  if (text.starts_with(kRedis)) return ParseRedis(text.substr(kRedis.size()));
  return Invalid("must be memory, sqlite:PATH or redis://HOST:PORT");
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreAddress& address) {
  if (const auto* sqlite = std::get_if<SqliteAddress>(&address)) {
    SqliteOptions options;
    options.synchronous_full = sqlite->synchronous_full;
    return SqliteStore::Open(sqlite->path, options);
  }
  if (const auto* redis = std::get_if<RedisAddress>(&address)) return RedisStore::Open(*redis);
  return nullptr;
}

}  // namespace dropoutd
