#include "server/main/connections.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/main/auth/listen_address.h"

namespace dropoutd {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{5};

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_un local;
};

// What stands behind the last colon of a listener's address: a port, or a path.
std::string_view PlaceOf(std::string_view address) {
  return address.substr(IsUnixSocket(std::string(address)) ? address.find(':') + 1
                                                           : address.rfind(':') + 1);
}

// The same of a socket of this process; empty if it is no socket, or has no such address.
std::string LocalPlace(int descriptor) {
  Address address = {};
  socklen_t size = sizeof address;
  if (getsockname(descriptor, &address.any, &size) != 0) return {};
  switch (address.any.sa_family) {
    case AF_INET:
      return absl::StrCat(ntohs(address.v4.sin_port));
    case AF_INET6:
      return absl::StrCat(ntohs(address.v6.sin6_port));
    case AF_UNIX:
      return std::string(address.local.sun_path,
                         strnlen(address.local.sun_path, sizeof address.local.sun_path));
    default:
      return {};
  }
}

bool IsListener(int descriptor) {
  int answer = 0;
  socklen_t size = sizeof answer;
  return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &answer, &size) == 0 && answer != 0;
}

bool HasPeer(int descriptor) {
  Address address = {};
  socklen_t size = sizeof address;
  return getpeername(descriptor, &address.any, &size) == 0;
}

// Closes what is open by now; returns how many connections there are.
std::size_t CloseOnce(const std::vector<std::string>& addresses) {
  std::size_t connections = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    int descriptor = -1;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &descriptor)) continue;
    // A descriptor may have been closed meanwhile, and may be another socket's.
    const std::string place = LocalPlace(descriptor);
    const auto is_here = [&](const std::string& address) { return PlaceOf(address) == place; };
    if (place.empty() || std::ranges::none_of(addresses, is_here)) continue;
    if (IsListener(descriptor)) {
      shutdown(descriptor, SHUT_RD);
    } else if (HasPeer(descriptor)) {
      shutdown(descriptor, SHUT_WR);
      ++connections;
    }
  }
  return connections;
}

}  // namespace

void CloseConnections(const std::vector<std::string>& addresses,
                      std::chrono::steady_clock::time_point deadline) {
  CloseOnce(addresses);
  // Again, for a connection that was being accepted.
  while (CloseOnce(addresses) != 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace dropoutd
