// A Redis server of one's own.
#ifndef DROPOUTD_TESTS_BENCH_REDIS_CHILD_H_
#define DROPOUTD_TESTS_BENCH_REDIS_CHILD_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/bench/child.h"
#include "tests/bench/served.h"

namespace dropoutd::bench {

// A port of the loopback that was free a moment ago.
int FreePort();

// Append-only, on a port of the loopback, from construction until destruction.
class RedisChild {
 public:
  static bool IsInstalled();

  // `options`: beside its own. Throws std::runtime_error when it does not answer.
  explicit RedisChild(const std::vector<std::string>& options = {});

  // As --store takes it.
  std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  pid_t pid() const { return child_.pid(); }

 private:
  TemporaryFolder folder_;
  int port_;
  Child child_;
};

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_REDIS_CHILD_H_
