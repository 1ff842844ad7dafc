// Several servers' stores over one simulated Redis.
#ifndef DROPOUTD_TESTS_SIMULATION_STORE_SIMULATION_H_
#define DROPOUTD_TESTS_SIMULATION_STORE_SIMULATION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/store/redis_store.h"
#include "tests/simulation/network.h"
#include "tests/simulation/redis_faults.h"
#include "tests/simulation/redis_site.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/simulation_result.h"
#include "tests/simulation/store_checker.h"
#include "tests/simulation/store_client.h"

namespace dropoutd {

struct StoreSimulationOptions {
  std::uint64_t seed = 1;
  std::uint64_t operations = 1'000;  // About so many, of all clients together.

  // Called for every script before Redis has it: a mutation changes it. Null: none.
  std::function<std::string(const std::string& source)> script;
  // Called for every store that a client uses. Null: none.
  std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)> wrap;
};

// First faults come while clients make random calls: nothing wrong may be answered. Then all heals,
// and every call must be answered soon. One run; the seed decides everything in it.
class StoreSimulation {
 public:
  explicit StoreSimulation(StoreSimulationOptions options);

  // What the seed has drawn, for people.
  std::string Print() const;

  SimulationResult Run();

 private:
  void Open(std::size_t server);
  void RunClient(std::size_t client);
  void RunFaults();

  const StoreSimulationOptions options_;
  Scheduler scheduler_;
  RandomSource64& random_;
  RedisSite site_;
  const std::size_t clients_;
  const std::size_t stores_;
  NetworkOptions network_options_;
  const StoreWorkload workload_;
  Network network_;
  StoreChecker checker_;
  int wait_replicas_ = 0;
  double crashes_ = 0;
  std::vector<std::unique_ptr<Store>> servers_;
  std::size_t running_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_STORE_SIMULATION_H_
