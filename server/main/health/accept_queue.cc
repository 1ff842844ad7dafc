#include "server/main/health/accept_queue.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace dropoutd {

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

}  // namespace dropoutd
