// How bad a simulated network and what stands behind it are.
#ifndef DROPOUTD_TESTS_SIMULATION_NETWORK_OPTIONS_H_
#define DROPOUTD_TESTS_SIMULATION_NETWORK_OPTIONS_H_

#include <chrono>
#include <string>

#include "tests/simulation/random_source.h"

namespace dropoutd {

// Probabilities are of each message, unless they say otherwise. Drawn for each run, so that some
// runs have much of one fault and none of another.
struct NetworkOptions {
  using Time = std::chrono::nanoseconds;

  Time shortest_delay = std::chrono::microseconds(50);
  Time longest_delay = std::chrono::milliseconds(1);
  double slow = 0;  // Takes up to `slow_delay`.
  Time slow_delay = std::chrono::milliseconds(500);
  double hold = 0;                               // Is kept, as all behind it on its connection,
  Time longest_hold = std::chrono::seconds(20);  // for so long, whoever has given it up.
  double cut = 0;                                // The connection ends before it arrives,
  double cut_after = 0;                          // or when it has, before its answer.
  double duplicate = 0;                          // A request arrives once more, later.
  double idle_close = 0;                         // Redis closes a connection that waits.

  // Events a second of virtual time.
  double partitions = 0;  // One client and Redis hear nothing of each other.
  Time longest_partition = std::chrono::seconds(15);
  double restarts = 0;          // Redis ends, and is back soon with what it had.
  double losses = 0;            // It comes back with what it had some moments ago.
  double fail_overs = 0;        // Another takes over, with all that there was,
  double lossy_fail_overs = 0;  // or with what there was some moments ago.
  double full = 0;              // Redis is full for a while.
  double clock_steps = 0;
  Time longest_step_back = std::chrono::seconds(0);
  Time longest_step_ahead = std::chrono::seconds(0);

  // None of it.
  static NetworkOptions Good() { return {}; }
  static NetworkOptions Draw(RandomSource64& random);

  std::string Print() const;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_NETWORK_OPTIONS_H_
