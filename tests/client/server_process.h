// A dropoutd of a test's own.
#ifndef DROPOUTD_TESTS_CLIENT_SERVER_PROCESS_H_
#define DROPOUTD_TESTS_CLIENT_SERVER_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace dropout {

// Starts `program`, with `flags`, on a free port of the loopback and waits until it listens; stops
// it with SIGTERM at the end. Throws std::runtime_error if it does not start. Not thread-safe.
class ServerProcess {
 public:
  explicit ServerProcess(const std::string& program, std::vector<std::string> flags = {});
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // HOST:PORT.
  const std::string& address() const { return address_; }

 private:
  void Stop();

  pid_t pid_;
  int output_;  // Read end of its stdout.
  std::string address_;
};

}  // namespace dropout

#endif  // DROPOUTD_TESTS_CLIENT_SERVER_PROCESS_H_
