#include "server/main/own_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/main/auth/listen_address.h"

namespace dropoutd {
namespace {

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_un local;
};

// How the addresses of --listen end that a socket can be bound to; empty if there is none.
std::string EndOfAddress(int descriptor) {
  SocketAddress bound = {};
  socklen_t size = sizeof(bound);
  if (getsockname(descriptor, &bound.any, &size) != 0) return {};
  switch (bound.any.sa_family) {
    case AF_INET:
      return absl::StrCat(":", ntohs(bound.v4.sin_port));
    case AF_INET6:
      return absl::StrCat(":", ntohs(bound.v6.sin6_port));
    case AF_UNIX: {
      const char* const path = bound.local.sun_path;
      return absl::StrCat("unix:", std::string(path, strnlen(path, sizeof(bound.local.sun_path))));
    }
    default:
      return {};
  }
}

bool IsBoundTo(const std::string& end, const std::string& address) {
  return IsUnixSocket(address) ? address == end : absl::EndsWith(address, end);
}

OwnSocket::Kind KindOf(int descriptor) {
  int listens = 0;
  socklen_t size = sizeof(listens);
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) {
    return OwnSocket::Kind::kOther;
  }
  if (listens != 0) return OwnSocket::Kind::kListener;
  SocketAddress peer = {};
  size = sizeof(peer);
  return getpeername(descriptor, &peer.any, &size) == 0 ? OwnSocket::Kind::kConnection
                                                        : OwnSocket::Kind::kOther;
}

}  // namespace

std::vector<OwnSocket> SocketsAt(const std::vector<std::string>& addresses) {
  std::vector<OwnSocket> found;
  std::error_code error;
  for (auto file = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && file != std::filesystem::directory_iterator(); file.increment(error)) {
    int descriptor = -1;
    if (!absl::SimpleAtoi(file->path().filename().string(), &descriptor)) continue;
    const std::string end = EndOfAddress(descriptor);
    if (end.empty()) continue;
    const auto address = std::ranges::find_if(
        addresses, [&end](const std::string& each) { return IsBoundTo(end, each); });
    if (address != addresses.end()) found.push_back({*address, descriptor, KindOf(descriptor)});
  }
  return found;
}

}  // namespace dropoutd
