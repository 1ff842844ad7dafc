// What a seed draws for a simulation of engines.
#ifndef DROPOUTD_TESTS_SIMULATION_ENGINE_OPTIONS_H_
#define DROPOUTD_TESTS_SIMULATION_ENGINE_OPTIONS_H_

#include <cstddef>
#include <string>

#include "server/session/limits.h"
#include "tests/simulation/engine_client.h"
#include "tests/simulation/local_store.h"
#include "tests/simulation/network_options.h"
#include "tests/simulation/random_source.h"
#include "tests/simulation/session_state.h"

namespace dropoutd {

// Where sessions are: several servers over one Redis; or one over what stands for a file, over a
// real SQLite file, or over nothing.
enum class SimStore { kRedis, kLocal, kSqlite, kNone };

struct EngineOptions {
  SimStore store = SimStore::kRedis;
  std::size_t servers = 1;
  std::size_t clients = 1;
  int wait_replicas = 0;
  double restarts = 0;  // Of each server, in a second.
  Limits limits;
  SimRules rules;
  NetworkOptions network;
  LocalFaults local;
  EngineWorkload workload;

  static EngineOptions Draw(RandomSource64& random);
  std::string Print() const;

 private:
  void DrawLimits(RandomSource64& random);
  void DrawLosses(RandomSource64& random);
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_ENGINE_OPTIONS_H_
