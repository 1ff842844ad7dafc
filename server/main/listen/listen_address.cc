#include "server/main/listen/listen_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace dropoutd {
namespace {

constexpr absl::string_view kUnixPrefix = "unix:";

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* const ipv4 = reinterpret_cast<const sockaddr_in*>(address);
    return ntohl(ipv4->sin_addr.s_addr) >> 24 == 127;
  }
  if (address->sa_family == AF_INET6) {
    const auto* const ipv6 = reinterpret_cast<const sockaddr_in6*>(address);
    return IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
  }
  return false;
}

}  // namespace

bool IsUnixSocket(const std::string& address) { return absl::StartsWith(address, kUnixPrefix); }

std::string SocketPathOf(const std::string& address) { return address.substr(kUnixPrefix.size()); }

std::string HostOf(const std::string& address) {
  absl::string_view host(address.data(), address.rfind(':'));
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return std::string(host);
}

std::string PortTextOf(const std::string& address) {
  return address.substr(address.rfind(':') + 1);
}

bool IsLocal(const std::string& address) {
  if (IsUnixSocket(address)) return true;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(HostOf(address).c_str(), nullptr, &hints, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (!IsLoopback(at->ai_addr)) return false;
  }
  return found != nullptr;
}

bool IsSocketInUse(const std::string& address) {
  if (!IsUnixSocket(address)) return false;
  const std::string path = SocketPathOf(address);
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof(name.sun_path)) return false;
  std::memcpy(name.sun_path, path.data(), path.size());
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool in_use = connect(probe, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
  close(probe);
  return in_use;
}

}  // namespace dropoutd
