// Accepts connections, for gRPC to serve.
#ifndef DROPOUTD_SERVER_MAIN_LISTEN_ACCEPTOR_H_
#define DROPOUTD_SERVER_MAIN_LISTEN_ACCEPTOR_H_

#include <grpcpp/server_builder.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/base/ticker.h"
#include "server/main/listen/connection_table.h"
#include "server/main/listen/listening_sockets.h"

namespace dropoutd {

// gRPC 1.51's own listener gives up for good when one accept fails, which it does when the process
// has no descriptor left (grpc/grpc issue 20418), and it bounds nothing. This one waits until there
// are descriptors again, and closes at once what is above a limit: a client that is turned away
// tries another server, one that waits in the kernel's queue hangs.
//
// Accepts on a thread of its own from Start to Stop. Thread-safe.
class Acceptor {
 public:
  // Called from the acceptor's thread when accepting() has changed.
  using OnChange = std::function<void()>;

  // `max_connections`: of all listeners together. `max_calls`: of one connection.
  Acceptor(std::size_t max_connections, std::size_t max_calls)
      : connections_(max_connections, max_calls) {}
  ~Acceptor() { Stop(); }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Before Start: gives the connections of `sockets` to the server that `builder` makes.
  void Add(ListeningSockets sockets, std::shared_ptr<grpc::ServerCredentials> credentials,
           grpc::ServerBuilder& builder);

  // The server has been started.
  void Start(OnChange on_change);

  // Accepts no more: the listeners are closed. The server must not have been shut down.
  void Stop();

  // Stop, and has the peers of all connections leave, until the deadline.
  void CloseConnections(std::chrono::steady_clock::time_point deadline);

  // Not when connections have come and for ten seconds there was no descriptor for them.
  bool accepting() const { return accepting_; }
  ConnectionTable& connections() { return connections_; }

  // Connections that were closed at once, because of the limit or for want of a descriptor.
  std::uint64_t refused() const { return refused_; }

 private:
  using External = grpc::experimental::ExternalConnectionAcceptor;

  struct Listener {
    int descriptor;
    External* server;  // One of servers_.
  };

  void Run();
  // Whether there was a descriptor for each that waited.
  bool AcceptFrom(const Listener& listener);
  void Serve(const Listener& listener, int connection);
  void TurnAway(int connection);
  // Closes a connection that waits, with the descriptor that is kept for that. Whether it could.
  bool TurnAwayWaiting(int listener);
  void Judge(bool could_accept);

  ConnectionTable connections_;
  std::vector<ListeningSockets> sockets_;
  std::vector<std::unique_ptr<External>> servers_;
  std::vector<Listener> listeners_;
  OnChange on_change_;
  int wake_ = -1;   // An eventfd that ends the thread.
  int spare_ = -1;  // Kept for want of others.
  std::optional<std::chrono::steady_clock::time_point> failing_since_;
  std::chrono::steady_clock::time_point last_log_;
  std::atomic<bool> accepting_{true};
  std::atomic<std::uint64_t> refused_{0};
  std::thread thread_;
  std::unique_ptr<Ticker> looks_;  // At what connections do.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_LISTEN_ACCEPTOR_H_
