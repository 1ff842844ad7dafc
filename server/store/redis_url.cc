#include "server/store/redis_url.h"

#include <cstddef>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

struct Scheme {
  std::string_view begin;
  RedisKind kind;
  int port;
};

constexpr Scheme kSchemes[] = {
    {"redis://", RedisKind::kSingle, 6379},
    {"redis+sentinel://", RedisKind::kSentinel, 26379},
    {"redis+cluster://", RedisKind::kCluster, 6379},
};

constexpr int kMostDatabase = 1'000'000;

absl::Status Wrong(std::string_view what) {
  return absl::InvalidArgumentError(absl::string_view(what.data(), what.size()));
}

// What is before `mark` and what is behind it; where there is none, all is before it.
std::pair<std::string_view, std::string_view> Cut(std::string_view text, char mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

int Nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

absl::StatusOr<std::string> Decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? Nibble(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? Nibble(text[i + 2]) : -1;
    if (high < 0 || low < 0) return Wrong("a % must be followed by two hexadecimal digits");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

absl::StatusOr<int> DecodedNumber(std::string_view text, int least, int most, const char* what) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::string digits, Decoded(text));
  int number = 0;
  // SimpleAtoi takes blanks and signs too.
  const bool is_plain = digits.find_first_not_of("0123456789") == std::string::npos;
  if (!is_plain || !absl::SimpleAtoi(digits, &number) || number < least || number > most) {
    return Wrong(absl::StrCat("the ", what, " must be a number in [", least, ", ", most, "]"));
  }
  return number;
}

absl::StatusOr<RedisLogin> ParseLogin(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    return Wrong("must have USER:PASSWORD before the @ (:PASSWORD for the default user)");
  }
  const auto [user, password] = Cut(text, ':');
  RedisLogin login;
  DROPOUTD_ASSIGN_OR_RETURN(login.user, Decoded(user));
  DROPOUTD_ASSIGN_OR_RETURN(login.password, Decoded(password));
  if (login.password.empty()) return Wrong("must have a password between the : and the @");
  return login;
}

absl::StatusOr<RedisHost> ParseHost(std::string_view text, int port) {
  RedisHost host;
  host.port = port;
  std::string_view name;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return Wrong("an IPv6 address must end with a ]");
    name = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (!rest.empty() && rest[0] != ':') return Wrong("only a :PORT may follow a ]");
  } else {
    name = text.substr(0, text.find(':'));
    rest = text.substr(name.size());
    if (rest.find(':', 1) != std::string_view::npos) {
      return Wrong("an IPv6 address must be in brackets, and : in a password or name be %3A");
    }
  }
  if (!rest.empty()) {
    DROPOUTD_ASSIGN_OR_RETURN(host.port, DecodedNumber(rest.substr(1), 1, 65535, "port"));
  }
  DROPOUTD_ASSIGN_OR_RETURN(host.name, Decoded(name));
  if (host.name.empty()) return Wrong("must have a host: redis://HOST[:PORT]");
  if (host.name.find('\0') != std::string::npos) return Wrong("no host has a zero byte");
  return host;
}

absl::Status ParseHosts(std::string_view text, int port, RedisUrl& url) {
  while (true) {
    const std::size_t comma = text.find(',');
    DROPOUTD_ASSIGN_OR_RETURN(RedisHost host, ParseHost(text.substr(0, comma), port));
    url.hosts.push_back(std::move(host));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (url.kind == RedisKind::kSingle && url.hosts.size() > 1) {
    return Wrong("redis:// takes one host; redis+sentinel:// and redis+cluster:// take several");
  }
  return absl::OkStatus();
}

absl::Status ParsePath(std::string_view path, RedisUrl& url) {
  if (url.kind == RedisKind::kCluster) {
    return path.empty() ? absl::OkStatus()
                        : Wrong("a cluster has no databases: redis+cluster://HOST[:PORT],...");
  }
  if (url.kind == RedisKind::kSentinel) {
    const auto [primary, database] = Cut(path, '/');
    DROPOUTD_ASSIGN_OR_RETURN(url.primary, Decoded(primary));
    if (url.primary.empty()) {
      return Wrong("must name the primary: redis+sentinel://HOST[:PORT],.../PRIMARY[/DB]");
    }
    path = database;
  }
  if (path.empty()) return absl::OkStatus();
  DROPOUTD_ASSIGN_OR_RETURN(url.database, DecodedNumber(path, 0, kMostDatabase, "database"));
  return absl::OkStatus();
}

absl::Status ParseParameter(std::string_view name, std::string_view value, RedisUrl& url) {
  if (name == "wait_replicas") {
    DROPOUTD_ASSIGN_OR_RETURN(url.wait_replicas,
                              DecodedNumber(value, 0, kMostWaitReplicas, "wait_replicas"));
    return absl::OkStatus();
  }
  if (url.kind == RedisKind::kSentinel && name == "sentinel_user") {
    DROPOUTD_ASSIGN_OR_RETURN(url.sentinel_login.user, Decoded(value));
    return absl::OkStatus();
  }
  if (url.kind == RedisKind::kSentinel && name == "sentinel_password") {
    DROPOUTD_ASSIGN_OR_RETURN(url.sentinel_login.password, Decoded(value));
    return absl::OkStatus();
  }
  return Wrong(url.kind == RedisKind::kSentinel
                   ? "after the ? only wait_replicas=N, sentinel_user=U and sentinel_password=P "
                     "may stand, with & between them"
                   : "after the ? only wait_replicas=N may stand");
}

absl::Status ParseParameters(std::string_view text, RedisUrl& url) {
  std::set<std::string_view> seen;
  while (!text.empty()) {
    const auto [parameter, rest] = Cut(text, '&');
    const auto [name, value] = Cut(parameter, '=');
    DROPOUTD_RETURN_IF_ERROR(ParseParameter(name, value, url));
    if (!seen.insert(name).second) return Wrong(absl::StrCat(std::string(name), " stands twice"));
    text = rest;
  }
  if (!url.sentinel_login.user.empty() && url.sentinel_login.password.empty()) {
    return Wrong("a sentinel_user needs a sentinel_password");
  }
  return absl::OkStatus();
}

}  // namespace

bool IsRedisUrl(std::string_view text) {
  return text.starts_with("redis:") || text.starts_with("rediss:") || text.starts_with("redis+") ||
         text.starts_with("rediss+");
}

absl::StatusOr<RedisUrl> ParseRedisUrl(std::string_view text) {
  if (text.starts_with("rediss")) {
    return Wrong(
        "TLS to Redis (rediss://) is not supported: use redis:// through a TLS tunnel on this "
        "host, as docs/operations.md says");
  }
  for (const Scheme& scheme : kSchemes) {
    if (!text.starts_with(scheme.begin)) continue;
    text.remove_prefix(scheme.begin.size());
    RedisUrl url;
    url.kind = scheme.kind;
    // The last @, because a password has always been taken with one that was not encoded.
    if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
      DROPOUTD_ASSIGN_OR_RETURN(url.login, ParseLogin(text.substr(0, at)));
      text.remove_prefix(at + 1);
    }
    const auto [where, parameters] = Cut(text, '?');
    const auto [hosts, path] = Cut(where, '/');
    DROPOUTD_RETURN_IF_ERROR(ParseHosts(hosts, scheme.port, url));
    DROPOUTD_RETURN_IF_ERROR(ParsePath(path, url));
    DROPOUTD_RETURN_IF_ERROR(ParseParameters(parameters, url));
    return url;
  }
  return Wrong("must begin with redis://, redis+sentinel:// or redis+cluster://");
}

RedisAddress RedisAddressOf(const RedisHost& host, const RedisLogin& login, int database) {
  RedisAddress address;
  address.host = host.name;
  address.port = host.port;
  address.user = login.user;
  address.password = login.password;
  address.database = database;
  return address;
}

}  // namespace dropoutd
