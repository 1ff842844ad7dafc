#include "server/main/listen/listening_sockets.h"

#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/main/listen/listen_address.h"

namespace dropoutd {
namespace {

absl::Status CannotListen(const std::string& address, const std::string& why) {
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", why));
}

std::string WhyNotBound(int error) {
  switch (error) {
    case EADDRINUSE:
      return "another process listens there";
    case EADDRNOTAVAIL:
      return "it is not one of this machine's addresses";
    default:
      return std::strerror(error);
  }
}

union BoundName {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// In the network's order.
in_port_t PortOf(int descriptor) {
  BoundName bound = {};
  socklen_t size = sizeof(bound);
  getsockname(descriptor, &bound.any, &size);
  return bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port;
}

void SetPort(sockaddr* address, in_port_t port) {
  if (address->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = port;
  } else {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = port;
  }
}

// Listens at `name`; 0 or an errno. The descriptor is the caller's.
int ListenAt(const sockaddr* name, socklen_t size, int& descriptor) {
  descriptor = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return errno;
  // Connections inherit these. The first lets a server follow another on its port at once.
  const int on = 1;
  const int off = 0;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (name->sa_family != AF_UNIX) {
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  // "[::]" takes IPv4 too.
  if (name->sa_family == AF_INET6) {
    setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (bind(descriptor, name, size) == 0 && listen(descriptor, SOMAXCONN) == 0) return 0;
  const int error = errno;
  close(descriptor);
  descriptor = -1;
  return error;
}

}  // namespace

absl::StatusOr<ListeningSockets> ListeningSockets::Open(const std::string& address) {
  ListeningSockets sockets;
  sockets.address_ = address;
  if (IsUnixSocket(address)) {
    DROPOUTD_RETURN_IF_ERROR(sockets.OpenUnix(SocketPathOf(address)));
  } else {
    DROPOUTD_RETURN_IF_ERROR(sockets.OpenHost(HostOf(address), PortTextOf(address)));
  }
  return sockets;
}

ListeningSockets::~ListeningSockets() {
  for (const int descriptor : descriptors_) close(descriptor);
  if (!path_.empty()) unlink(path_.c_str());
}

absl::Status ListeningSockets::OpenUnix(const std::string& path) {
  if (IsSocketInUse(address_)) return CannotListen(address_, WhyNotBound(EADDRINUSE));
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  // Nobody listens: a process that was killed left it. Another kind of file stays, and bind fails.
  struct stat file = {};
  if (lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode)) unlink(path.c_str());
  int descriptor = -1;
  const int error = ListenAt(reinterpret_cast<const sockaddr*>(&name), sizeof(name), descriptor);
  if (error != 0) return CannotListen(address_, WhyNotBound(error));
  path_ = path;
  descriptors_.push_back(descriptor);
  return absl::OkStatus();
}

absl::Status ListeningSockets::OpenHost(const std::string& host, const std::string& port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return CannotListen(address_, gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  int first_error = 0;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    // All with the port that the first one picked.
    if (!descriptors_.empty()) SetPort(at->ai_addr, PortOf(descriptors_.front()));
    int descriptor = -1;
    const int error = ListenAt(at->ai_addr, at->ai_addrlen, descriptor);
    if (error == 0) {
      descriptors_.push_back(descriptor);
    } else if (error == EADDRINUSE && !descriptors_.empty()) {
      return CannotListen(address_, WhyNotBound(error));
    } else if (first_error == 0 || error == EADDRINUSE) {
      first_error = error;
    }
  }
  if (first_error == EADDRINUSE || descriptors_.empty()) {
    return CannotListen(address_, WhyNotBound(first_error));
  }
  const int picked = ntohs(PortOf(descriptors_.front()));
  address_ = absl::StrCat(address_.substr(0, address_.rfind(':') + 1), picked);
  return absl::OkStatus();
}

}  // namespace dropoutd
