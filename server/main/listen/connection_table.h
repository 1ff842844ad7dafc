// The connections that are open.
#ifndef DROPOUTD_SERVER_MAIN_LISTEN_CONNECTION_TABLE_H_
#define DROPOUTD_SERVER_MAIN_LISTEN_CONNECTION_TABLE_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

namespace dropoutd {

// Knows connections whose descriptors are gRPC's, which closes them without a word: one is open
// while its descriptor is the socket that was added. Closes those whose clients do what gRPC 1.51
// has no bound for. Thread-safe.
class ConnectionTable {
 public:
  // `max_calls`: that a client which keeps to HTTP/2's settings may have under way.
  ConnectionTable(std::size_t limit, std::size_t max_calls);

  // Adds an accepted socket; false if as many as the limit are open.
  bool Add(int descriptor);

  // A call begins, or has ended, on the connection of `peer`, which is as gRPC names it. A
  // connection with many times as many calls as it may have is closed: until a client acknowledges
  // the limit gRPC does not hold it to it, and a hostile one never does. A Unix socket's peers have
  // no names; nothing is known of their calls.
  void CallBegins(const std::string& peer);
  void CallEnds(const std::string& peer);

  // To be called ten times a second. Closes connections that send and send, and no call comes of
  // it: headers without an end, which gRPC keeps whatever their size.
  void CloseSenselessSenders();

  // How many are open by now.
  std::size_t Count();

  // Tells the peer of each that no more will come, so that it leaves. Returns how many are open.
  std::size_t ShutDownWrites();

  std::size_t limit() const { return limit_; }

  // How many were closed for what their clients did.
  std::uint64_t abused() const { return abused_; }

 private:
  static constexpr std::size_t kTolerance = 10;
  static constexpr std::uint64_t kLeastBetweenCalls = std::uint64_t{8} << 20;

  struct Connection {
    ino_t socket = 0;
    std::string peer;                // Empty: none that a call could name.
    std::size_t calls = 0;           // Under way.
    bool has_called = false;         // A call has begun or ended since the last look.
    std::uint64_t bytes_before = 0;  // Read by the last look at which a call was known.
  };
  using Connections = std::unordered_map<int, Connection>;  // By descriptor.

  // The lock is held in all of these.
  void Sweep();
  void Remove(Connections::iterator connection);
  Connection* Find(const std::string& peer, int& descriptor);
  void Close(int descriptor);

  const std::size_t limit_;
  const std::size_t most_calls_;
  const std::uint64_t most_between_calls_;  // Bytes.
  std::mutex mutex_;
  Connections open_;
  std::unordered_map<std::string, int> descriptors_;  // By peer.
  std::atomic<std::uint64_t> abused_{0};
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_LISTEN_CONNECTION_TABLE_H_
