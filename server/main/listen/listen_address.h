// Addresses as --listen takes them: HOST:PORT or unix:/PATH.
#ifndef DROPOUTD_SERVER_MAIN_LISTEN_LISTEN_ADDRESS_H_
#define DROPOUTD_SERVER_MAIN_LISTEN_LISTEN_ADDRESS_H_

#include <string>

namespace dropoutd {

bool IsUnixSocket(const std::string& address);

// Of a Unix socket.
std::string SocketPathOf(const std::string& address);

// Of HOST:PORT; the host without the brackets of an IPv6 address.
std::string HostOf(const std::string& address);
std::string PortTextOf(const std::string& address);

// Whether only this machine reaches it: a Unix socket, or a host all of whose addresses are
// loopback ones. A host that cannot be resolved is not local.
bool IsLocal(const std::string& address);

// Whether a process listens on a Unix socket at this address.
bool IsSocketInUse(const std::string& address);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_LISTEN_LISTEN_ADDRESS_H_
