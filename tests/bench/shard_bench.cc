#include "tests/bench/shard_bench.h"

#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/capacity_model.h"
#include "tests/bench/child.h"
#include "tests/bench/paired.h"
#include "tests/bench/redis_child.h"
#include "tests/bench/redis_shards.h"
#include "tests/bench/served.h"
#include "tests/bench/training.h"

namespace dropoutd::bench {
namespace {

constexpr std::size_t kBytes = CapacityModel::kSmall;
constexpr int kClients = 4;
constexpr int kSessions = 300;  // So many that each shard has about a third of them.

// A server over a store, and what trains on it.
class Fleet {
 public:
  Fleet(const std::string& store, const std::vector<pid_t>& redis)
      : server_(StartServer(kTcp, {"--store=" + store})),
        training_(server_.address(), Processes(redis), MakeSessions()) {}

  // Seconds between two steps.
  struct Times {
    double measured;   // Of kClients clients on this machine.
    double foretold;   // The same by the model, from the costs of one client.
    double processor;  // By the model from here on: if one processor does all;
    double redis;      // if there are so many that nothing but Redis is short.
  };
  Times Measure(int steps) {
    const Costs of_one = training_.CostOf(kBytes, steps);
    const Training::Step step = training_.StepOf(kBytes, kClients * steps, kClients);
    return {step.seconds, SecondsOn(of_one, std::thread::hardware_concurrency()), Sum(step.costs),
            LongestOfRedis(step.costs)};
  }

 private:
  std::vector<pid_t> Processes(const std::vector<pid_t>& redis) const {
    std::vector<pid_t> all = {getpid(), server_.pid()};
    all.insert(all.end(), redis.begin(), redis.end());
    return all;
  }

  std::vector<std::string> MakeSessions() const {
    std::vector<std::string> sessions;
    for (int i = 0; i < kSessions; ++i) {
      sessions.push_back(kSession + std::to_string(i));
      MakeSession(server_.address(), sessions.back());
    }
    return sessions;
  }

  const ServerChild server_;
  Training training_;
};

Row RowOf(const std::string& what, const std::string& baseline) {
  Row row;
  row.what = what + ", " + SizeName(kBytes);
  row.baseline = baseline;
  row.steps = 1;
  return row;
}

void AddPair(Row& row, double own, double base) {
  row.seconds.push_back(own);
  row.ratios.push_back(base / own);
}

}  // namespace

void BenchShards(bool smoke, Report& report) {
  if (!RedisShards::AreInstalled()) return;
  const RedisChild redis;
  const RedisShards shards;
  Fleet one(redis.url(), {redis.pid()});
  Fleet three(shards.url(), shards.pids());
  const std::string cores = std::to_string(std::thread::hardware_concurrency()) + " processors";
  const std::string same = "one Redis, the same";
  Row one_here = RowOf("one Redis, measured", "the capacity model");
  Row three_here = RowOf("3 shards, measured", "the capacity model");
  Row one_busy = RowOf("one Redis that is busy, by the model", "one processor for all");
  Row three_busy = RowOf("3 shards that are busy, by the model", "one processor for all");
  Row measured = RowOf("3 shards, measured", same);
  Row foretold = RowOf("3 shards, " + cores + ", by the model", same);
  Row apart = RowOf("3 shards that are busy, by the model", same);
  const int steps = smoke ? kClients : 1000;
  for (int round = smoke ? 0 : -1; round < (smoke ? 1 : 9); ++round) {
    const Fleet::Times base = one.Measure(steps);
    const Fleet::Times own = three.Measure(steps);
    if (round < 0) continue;  // Warm-up.
    AddPair(one_here, base.measured, base.foretold);
    AddPair(three_here, own.measured, own.foretold);
    AddPair(one_busy, base.redis, base.processor);
    AddPair(three_busy, own.redis, own.processor);
    AddPair(measured, own.measured, base.measured);
    AddPair(foretold, own.foretold, base.foretold);
    AddPair(apart, own.redis, base.redis);
  }
  for (Row* row : {&one_here, &three_here, &measured, &foretold, &one_busy, &three_busy, &apart}) {
    report.Add(std::move(*row));
  }
}

}  // namespace dropoutd::bench
