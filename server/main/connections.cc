#include "server/main/connections.h"

#include <sys/socket.h>

#include <cstddef>
#include <thread>

#include "server/main/own_sockets.h"

namespace dropoutd {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{5};

// Closes what is open by now; returns how many connections there are.
std::size_t CloseOnce(const std::vector<std::string>& addresses) {
  std::size_t connections = 0;
  for (const OwnSocket& socket : SocketsAt(addresses)) {
    switch (socket.kind) {
      case OwnSocket::Kind::kListener:
        shutdown(socket.descriptor, SHUT_RD);
        break;
      case OwnSocket::Kind::kConnection:
        shutdown(socket.descriptor, SHUT_WR);
        ++connections;
        break;
      case OwnSocket::Kind::kOther:
        break;
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
