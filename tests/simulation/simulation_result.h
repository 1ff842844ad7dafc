// What came of one run.
#ifndef DROPOUTD_TESTS_SIMULATION_SIMULATION_RESULT_H_
#define DROPOUTD_TESTS_SIMULATION_SIMULATION_RESULT_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace dropoutd {

struct SimulationResult {
  std::uint64_t operations = 0;
  std::uint64_t digest = 0;   // Equal of two runs with one seed.
  std::size_t lost_keys = 0;  // Too ambiguous to be checked to the end.
  std::string violation;      // With the history; empty if all was right.
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_SIMULATION_RESULT_H_
