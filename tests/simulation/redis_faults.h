// What befalls a Redis and the ways to it.
#ifndef DROPOUTD_TESTS_SIMULATION_REDIS_FAULTS_H_
#define DROPOUTD_TESTS_SIMULATION_REDIS_FAULTS_H_

#include <cstddef>
#include <functional>
#include <string>

#include "tests/simulation/network.h"
#include "tests/simulation/redis_site.h"
#include "tests/simulation/scheduler.h"

namespace dropoutd {

// Of the simulation's threads.
class RedisFaults {
 public:
  struct Hooks {
    std::function<void(std::string text)> note;         // For the history.
    std::function<void(Scheduler::Time step)> on_step;  // Of the clock; may be null.
    std::function<std::size_t()> client;                // Whose way to Redis is cut.
  };

  RedisFaults(Scheduler& scheduler, RedisSite& site, Network& network,
              const NetworkOptions& options, Hooks hooks);

  // Waits a moment, and does what happens in it.
  void Tick();

  // From now on all is well.
  void End();

 private:
  bool Happens(double rate);

  Scheduler& scheduler_;
  RandomSource64& random_;
  RedisSite& site_;
  Network& network_;
  const NetworkOptions options_;
  const Hooks hooks_;
  Scheduler::Time next_step_back_{0};
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_REDIS_FAULTS_H_
