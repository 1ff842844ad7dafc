// Training on a server, and the processor time that it takes of every process.
#ifndef DROPOUTD_TESTS_BENCH_TRAINING_H_
#define DROPOUTD_TESTS_BENCH_TRAINING_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dropoutd::bench {

// Processor seconds of a step, by process: the client, the server, and the Redis processes.
using Costs = std::vector<double>;

double Sum(const Costs& costs);

// A step is a Forward and a Backward of so many bytes each, in messages.
class Training {
 public:
  // The steps go to `sessions` in turn, each of which has kLayer. `processes`: as in Costs.
  Training(std::string address, std::vector<pid_t> processes, std::vector<std::string> sessions);

  // The costs of one of `steps` steps in turn.
  Costs CostOf(std::size_t byte_size, int steps);

  // One of `steps` steps of `clients` clients side by side.
  struct Step {
    double seconds;  // Between the ends of two.
    Costs costs;
  };
  Step StepOf(std::size_t byte_size, int steps, int clients);

 private:
  Costs Now() const;
  Costs Since(const Costs& before, int steps) const;
  void Run(std::size_t byte_size, int steps);

  const std::string address_;
  const std::vector<pid_t> processes_;
  const std::vector<std::string> sessions_;
  std::atomic<std::uint64_t> next_step_{0};
};

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_TRAINING_H_
