// A Redis and what takes over from it.
#ifndef DROPOUTD_TESTS_SIMULATION_REDIS_SITE_H_
#define DROPOUTD_TESTS_SIMULATION_REDIS_SITE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/lua_redis.h"
#include "tests/simulation/scheduler.h"

namespace dropoutd {

// Servers of the same data, of which one is the primary. They share a clock, which may step. Not
// thread-safe, as the scheduler runs one thread at a time.
class RedisSite {
 public:
  RedisSite(Scheduler& scheduler, std::size_t nodes);

  std::size_t size() const { return nodes_.size(); }
  std::size_t primary() const { return primary_; }
  bool is_up(std::size_t node) const { return nodes_[node].is_up; }
  std::uint64_t process(std::size_t node) const { return nodes_[node].process; }
  LuaRedis& redis(std::size_t node) { return *nodes_[node].redis; }

  // Of the clock that all share, in microseconds since 1970; and the latest that it has ever been.
  std::int64_t Clock() const;
  std::int64_t LatestClock() const { return latest_clock_; }
  void StepClock(std::chrono::microseconds step);

  // What the replicas have is what the primary has at this moment.
  void Replicate();
  void set_on_replicate(std::function<void()> call) { on_replicate_ = std::move(call); }

  // Calls `call` when what was done since the last Replicate is lost.
  void set_on_loss(std::function<void()> call) { on_loss_ = std::move(call); }

  // The primary ends; Start brings it back, with all that it had or with what the replicas have.
  void Kill();
  void Start(bool loses);

  // Another node is the primary, with what the replicas have; the old one takes no writes.
  void FailOver();

  // What every script is changed to before it is run; null: nothing.
  void set_script_filter(LuaRedis::ScriptFilter filter);

  // So that the next primary is not full either.
  void SetFull(bool full);

 private:
  struct Node {
    std::unique_ptr<LuaRedis> redis;
    bool is_up = true;
    std::uint64_t process = 0;  // Counts the processes that it has been.
  };

  Scheduler& scheduler_;
  std::vector<Node> nodes_;
  std::size_t primary_ = 0;
  RedisData replicated_;
  std::chrono::microseconds clock_offset_{0};
  mutable std::int64_t latest_clock_ = 0;
  std::function<void()> on_replicate_;
  std::function<void()> on_loss_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_REDIS_SITE_H_
