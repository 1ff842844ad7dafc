// A Redis Cluster of one's own.
#ifndef DROPOUTD_TESTS_BENCH_REDIS_SHARDS_H_
#define DROPOUTD_TESTS_BENCH_REDIS_SHARDS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/redis_child.h"

namespace dropoutd::bench {

// Three primaries without replicas, from construction until destruction.
class RedisShards {
 public:
  static constexpr int kPrimaries = 3;

  // Whether redis-cli is there too, which makes the cluster.
  static bool AreInstalled();

  // Throws std::runtime_error when the cluster does not come about.
  RedisShards();

  // As --store takes it.
  std::string url() const;
  std::vector<pid_t> pids() const;

 private:
  std::vector<std::unique_ptr<RedisChild>> nodes_;
};

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_REDIS_SHARDS_H_
