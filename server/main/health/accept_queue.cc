#include "server/main/health/accept_queue.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/main/auth/listen_address.h"

namespace dropoutd {
namespace {

bool IsListener(int descriptor) {
  int listens = 0;
  socklen_t size = sizeof(listens);
  return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

// How an address of --listen ends that this socket is bound to; empty if it is neither kind.
std::string EndOfAddress(int descriptor) {
  sockaddr_storage bound = {};
  socklen_t size = sizeof(bound);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return {};
  if (bound.ss_family == AF_INET) {
    return absl::StrCat(":", ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port));
  }
  if (bound.ss_family == AF_INET6) {
    return absl::StrCat(":", ntohs(reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port));
  }
  if (bound.ss_family != AF_UNIX) return {};
  const char* const path = reinterpret_cast<const sockaddr_un*>(&bound)->sun_path;
  const std::size_t most = size - offsetof(sockaddr_un, sun_path);
  return absl::StrCat("unix:", std::string(path, strnlen(path, most)));
}

bool IsBoundTo(const std::string& end, const std::string& address) {
  return IsUnixSocket(address) ? address == end : absl::EndsWith(address, end);
}

}  // namespace

void AcceptQueue::Take(const AcceptQueueLook& look) {
  const bool is_shorter = look.length.has_value() && length_.has_value() && *look.length < *length_;
  looks_ = look.is_empty || is_shorter ? 0 : looks_ + 1;
  length_ = look.length;
}

AcceptQueueLook LookAtQueue(int listener) {
  AcceptQueueLook look;
  pollfd waiting = {.fd = listener, .events = POLLIN, .revents = 0};
  look.is_empty = poll(&waiting, 1, 0) != 1 || (waiting.revents & POLLIN) == 0;
  // Of a listening socket the kernel gives its queue's length here (tcp_get_info).
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
      info.tcpi_state == TCP_LISTEN) {
    look.length = info.tcpi_unacked;
  }
  return look;
}

std::vector<ListenerSocket> FindListeners(const std::vector<std::string>& addresses) {
  std::vector<ListenerSocket> found;
  std::error_code error;
  for (auto file = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && file != std::filesystem::directory_iterator(); file.increment(error)) {
    int descriptor = -1;
    if (!absl::SimpleAtoi(file->path().filename().string(), &descriptor)) continue;
    if (!IsListener(descriptor)) continue;
    const std::string end = EndOfAddress(descriptor);
    const auto address = std::ranges::find_if(
        addresses, [&end](const std::string& each) { return IsBoundTo(end, each); });
    if (!end.empty() && address != addresses.end()) found.push_back({*address, descriptor});
  }
  return found;
}

}  // namespace dropoutd
