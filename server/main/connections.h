// The sockets under gRPC's server.
#ifndef DROPOUTD_SERVER_MAIN_CONNECTIONS_H_
#define DROPOUTD_SERVER_MAIN_CONNECTIONS_H_

#include <chrono>
#include <string>
#include <vector>

namespace dropoutd {

// Closes the listeners at `addresses` ("HOST:PORT" or "unix:PATH") and this side of their
// connections, after what is being sent; returns when the peers have closed theirs, or at the
// deadline.
//
// To be called before gRPC's own shutdown. That answers CANCELLED to calls that come in at the same
// moment (grpc/grpc issue 41785), which clients do not try again; a connection that ends is
// UNAVAILABLE to them.
void CloseConnections(const std::vector<std::string>& addresses,
                      std::chrono::steady_clock::time_point deadline);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_CONNECTIONS_H_
