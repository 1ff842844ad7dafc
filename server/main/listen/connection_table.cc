#include "server/main/listen/connection_table.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace dropoutd {
namespace {

// Of a call, that gRPC may read before the call's handler begins: the stream's window and headers.
constexpr std::uint64_t kMostBeforeCall = std::uint64_t{80} << 10;

// The socket that a descriptor is now; 0 if it is none.
ino_t SocketOf(int descriptor) {
  struct stat file = {};
  return fstat(descriptor, &file) == 0 && S_ISSOCK(file.st_mode) ? file.st_ino : 0;
}

// Bytes of a TCP connection that were read: what waits in the kernel may be a call's beginning.
std::uint64_t ReadFrom(int descriptor) {
  tcp_info info = {};
  socklen_t size = sizeof(info);
  int waiting = 0;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      ioctl(descriptor, FIONREAD, &waiting) != 0) {
    return 0;
  }
  const std::uint64_t received = info.tcpi_bytes_received;
  return received - std::min(received, static_cast<std::uint64_t>(waiting));
}

std::string NameOfIpv4(const void* address, in_port_t port) {
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, address, text, sizeof(text));
  return absl::StrCat("ipv4:", text, ":", ntohs(port));
}

union PeerName {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// As grpc::ServerContext::peer() has it.
std::string PeerOf(int descriptor) {
  PeerName name = {};
  socklen_t size = sizeof(name);
  if (getpeername(descriptor, &name.any, &size) != 0) return {};
  if (name.any.sa_family == AF_INET) return NameOfIpv4(&name.v4.sin_addr, name.v4.sin_port);
  if (name.any.sa_family != AF_INET6) return {};
  if (IN6_IS_ADDR_V4MAPPED(&name.v6.sin6_addr)) {
    return NameOfIpv4(&name.v6.sin6_addr.s6_addr[12], name.v6.sin6_port);
  }
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, &name.v6.sin6_addr, text, sizeof(text));
  return absl::StrCat("ipv6:%5B", text, "%5D:", ntohs(name.v6.sin6_port));
}

}  // namespace

ConnectionTable::ConnectionTable(std::size_t limit, std::size_t max_calls)
    : limit_(limit),
      most_calls_(kTolerance * max_calls),
      most_between_calls_(std::max(kLeastBetweenCalls, kMostBeforeCall * max_calls)) {}

bool ConnectionTable::Add(int descriptor) {
  Connection connection;
  connection.socket = SocketOf(descriptor);
  connection.peer = PeerOf(descriptor);
  const std::lock_guard lock(mutex_);
  // A descriptor that is new again was closed meanwhile; to look at the others costs more.
  if (const auto old = open_.find(descriptor); old != open_.end()) Remove(old);
  if (open_.size() >= limit_) Sweep();
  if (open_.size() >= limit_) return false;
  if (!connection.peer.empty()) descriptors_[connection.peer] = descriptor;
  open_.emplace(descriptor, std::move(connection));
  return true;
}

void ConnectionTable::CallBegins(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  int descriptor = -1;
  Connection* const connection = Find(peer, descriptor);
  if (connection == nullptr) return;
  connection->has_called = true;
  // Once: a call more does not close it again.
  if (++connection->calls == most_calls_ + 1) Close(descriptor);
}

void ConnectionTable::CallEnds(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  int descriptor = -1;
  Connection* const connection = Find(peer, descriptor);
  // The call may be of an earlier connection of this name.
  if (connection == nullptr || connection->calls == 0) return;
  --connection->calls;
  connection->has_called = true;
}

void ConnectionTable::CloseSenselessSenders() {
  std::vector<int> descriptors;
  {
    const std::lock_guard lock(mutex_);
    descriptors.reserve(open_.size());
    for (const auto& [descriptor, connection] : open_) descriptors.push_back(descriptor);
  }
  // The lock is taken for each anew: calls, which need it too, do not wait for a look at thousands.
  for (const int descriptor : descriptors) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(descriptor);
    if (found == open_.end()) continue;
    Connection& connection = found->second;
    if (SocketOf(descriptor) != connection.socket) {
      Remove(found);
      continue;
    }
    if (connection.peer.empty()) continue;
    const std::uint64_t bytes = ReadFrom(descriptor);
    const bool may_send = std::exchange(connection.has_called, false) || connection.calls != 0;
    if (may_send) connection.bytes_before = bytes;
    // What waits is not exact while it is read: the count may step back.
    if (bytes > connection.bytes_before + most_between_calls_) Close(descriptor);
  }
}

std::size_t ConnectionTable::Count() {
  const std::lock_guard lock(mutex_);
  Sweep();
  return open_.size();
}

std::size_t ConnectionTable::ShutDownWrites() {
  const std::lock_guard lock(mutex_);
  Sweep();
  for (const auto& [descriptor, connection] : open_) shutdown(descriptor, SHUT_WR);
  return open_.size();
}

void ConnectionTable::Sweep() {
  for (auto each = open_.begin(); each != open_.end();) {
    const auto next = std::next(each);
    if (SocketOf(each->first) != each->second.socket) Remove(each);
    each = next;
  }
}

void ConnectionTable::Remove(Connections::iterator connection) {
  const auto named = descriptors_.find(connection->second.peer);
  if (named != descriptors_.end() && named->second == connection->first) descriptors_.erase(named);
  open_.erase(connection);
}

ConnectionTable::Connection* ConnectionTable::Find(const std::string& peer, int& descriptor) {
  const auto named = descriptors_.find(peer);
  if (named == descriptors_.end()) return nullptr;
  descriptor = named->second;
  const auto found = open_.find(descriptor);
  return found == open_.end() ? nullptr : &found->second;
}

void ConnectionTable::Close(int descriptor) {
  if (shutdown(descriptor, SHUT_RDWR) == 0) ++abused_;
}

}  // namespace dropoutd
