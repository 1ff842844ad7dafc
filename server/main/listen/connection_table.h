// The connections that are open.
#ifndef DROPOUTD_SERVER_MAIN_LISTEN_CONNECTION_TABLE_H_
#define DROPOUTD_SERVER_MAIN_LISTEN_CONNECTION_TABLE_H_

#include <sys/types.h>

#include <cstddef>
#include <mutex>
#include <unordered_map>

namespace dropoutd {

// Counts connections whose descriptors are gRPC's, which closes them without a word: one is open
// while its descriptor is the socket that was added. Thread-safe.
class ConnectionTable {
 public:
  explicit ConnectionTable(std::size_t limit) : limit_(limit) {}

  // Adds an accepted socket; false if as many as the limit are open.
  bool Add(int descriptor);

  // How many are open by now.
  std::size_t Count();

  // Tells the peer of each that no more will come, so that it leaves. Returns how many are open.
  std::size_t ShutDownWrites();

  std::size_t limit() const { return limit_; }

 private:
  void Sweep();

  const std::size_t limit_;
  std::mutex mutex_;
  std::unordered_map<int, ino_t> open_;  // By descriptor, the socket.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_LISTEN_CONNECTION_TABLE_H_
