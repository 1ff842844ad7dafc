// Where a server may listen without TLS.
#ifndef DROPOUTD_SERVER_MAIN_AUTH_LISTEN_ADDRESS_H_
#define DROPOUTD_SERVER_MAIN_AUTH_LISTEN_ADDRESS_H_

#include <string>

namespace dropoutd {

// Of an address as --listen takes it: HOST:PORT or unix:/PATH.
bool IsUnixSocket(const std::string& address);

// Whether only this machine reaches it: a Unix socket, or a host all of whose addresses are
// loopback ones. A host that cannot be resolved is not local.
bool IsLocal(const std::string& address);

// Whether a process listens on a Unix socket at this address. gRPC would take the path from it.
bool IsSocketInUse(const std::string& address);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_AUTH_LISTEN_ADDRESS_H_
