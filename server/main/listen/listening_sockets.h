// The sockets on which a server listens.
#ifndef DROPOUTD_SERVER_MAIN_LISTEN_LISTENING_SOCKETS_H_
#define DROPOUTD_SERVER_MAIN_LISTEN_LISTENING_SOCKETS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace dropoutd {

// Sockets that listen on one address, closed at the end. Movable; not thread-safe.
class ListeningSockets {
 public:
  // `address` is as --listen takes it. A host listens on every address that its name has, all with
  // one port; port 0 picks one. A Unix socket's path is taken over from a process that is gone.
  // UNAVAILABLE, with the reason, if another process listens there or the address is not one of
  // this machine's.
  static absl::StatusOr<ListeningSockets> Open(const std::string& address);

  ListeningSockets(ListeningSockets&& other) noexcept
      : address_(std::move(other.address_)),
        path_(std::exchange(other.path_, {})),
        descriptors_(std::exchange(other.descriptors_, {})) {}
  ListeningSockets& operator=(ListeningSockets&&) = delete;
  ~ListeningSockets();

  // With the port that was picked.
  const std::string& address() const { return address_; }

  // Non-blocking; this object's.
  const std::vector<int>& descriptors() const { return descriptors_; }

 private:
  ListeningSockets() = default;

  absl::Status OpenUnix(const std::string& path);
  absl::Status OpenHost(const std::string& host, const std::string& port);

  std::string address_;
  std::string path_;  // Of a Unix socket that is ours to remove.
  std::vector<int> descriptors_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_LISTEN_LISTENING_SOCKETS_H_
