// Several servers' engines over one simulated store.
#ifndef DROPOUTD_TESTS_SIMULATION_ENGINE_SIMULATION_H_
#define DROPOUTD_TESTS_SIMULATION_ENGINE_SIMULATION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/engine_checker.h"
#include "tests/simulation/engine_client.h"
#include "tests/simulation/engine_options.h"
#include "tests/simulation/engine_server.h"
#include "tests/simulation/local_store.h"
#include "tests/simulation/network.h"
#include "tests/simulation/redis_faults.h"
#include "tests/simulation/redis_site.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/simulation_result.h"

namespace dropoutd {

struct EngineSimulationOptions {
  std::uint64_t seed = 1;
  std::uint64_t operations = 1'000;  // About so many, of all clients together.

  // Mutations; null: none. Of every script before Redis has it, of every store that an engine uses,
  // and of every engine that clients use.
  std::function<std::string(const std::string& source)> script;
  std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)> wrap;
  MakeEngineFace face;
};

// As StoreSimulation, of all that clients can ask. One run; the seed decides everything in it.
class EngineSimulation {
 public:
  explicit EngineSimulation(EngineSimulationOptions options);
  ~EngineSimulation();

  // What the seed has drawn, for people.
  std::string Print() const;

  SimulationResult Run();

 private:
  struct Place {
    std::shared_ptr<EngineServer> process;  // Null: it is down.
    std::size_t network_client = 0;
    LocalStore* local = nullptr;  // Of the process.
  };

  std::shared_ptr<EngineFace> Find(std::size_t server);
  void RunServer(std::size_t server);
  void RunClient(std::size_t number);
  void RunFaults();
  void Start(std::size_t server);
  void Stop(std::size_t server);
  std::unique_ptr<Store> OpenStore(std::size_t server);
  std::unique_ptr<Store> OpenRedis(std::size_t server);
  std::shared_ptr<Store> OpenFile();
  bool IsRunning() const { return running_ > 0 && !checker_.has_failed(); }

  const EngineSimulationOptions options_;
  Scheduler scheduler_;
  RandomSource64& random_;
  const EngineOptions drawn_;
  RedisSite site_;
  Network network_;
  EngineChecker checker_;
  std::vector<Place> servers_;
  std::vector<SimExport> exports_;
  std::shared_ptr<Store> file_;  // What outlives a process with a store of its own.
  std::string folder_;           // Of SQLite's files.
  int files_ = 0;
  std::size_t running_ = 0;  // Clients that make random calls,
  std::size_t living_ = 0;   // and those that have not ended.
  bool is_full_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_ENGINE_SIMULATION_H_
