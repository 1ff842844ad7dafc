// The sockets of this process, as the kernel knows them: gRPC does not hand out its own.
#ifndef DROPOUTD_SERVER_MAIN_OWN_SOCKETS_H_
#define DROPOUTD_SERVER_MAIN_OWN_SOCKETS_H_

#include <string>
#include <vector>

namespace dropoutd {

struct OwnSocket {
  enum class Kind { kListener, kConnection, kOther };

  std::string address;  // The one of the caller's that it is bound to.
  int descriptor = -1;  // Somebody else's: it may be closed at any time.
  Kind kind = Kind::kOther;
};

// The sockets that are bound to one of the addresses, which are as --listen takes them, with the
// ports in use. A host counts by its port alone. Needs a descriptor while it looks, and finds
// nothing without one.
std::vector<OwnSocket> SocketsAt(const std::vector<std::string>& addresses);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_OWN_SOCKETS_H_
