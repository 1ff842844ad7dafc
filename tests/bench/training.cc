#include "tests/bench/training.h"

#include <time.h>

#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <utility>

#include "dropout/client.h"
#include "tests/bench/served.h"

namespace dropoutd::bench {
namespace {

double ProcessorSeconds(pid_t pid) {
  clockid_t clock;
  timespec time;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    throw std::runtime_error("no processor time of a process");
  }
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

double Sum(const Costs& costs) { return std::accumulate(costs.begin(), costs.end(), 0.0); }

Training::Training(std::string address, std::vector<pid_t> processes,
                   std::vector<std::string> sessions)
    : address_(std::move(address)),
      processes_(std::move(processes)),
      sessions_(std::move(sessions)) {}

Costs Training::CostOf(std::size_t byte_size, int steps) {
  const Costs before = Now();
  Run(byte_size, steps);
  return Since(before, steps);
}

Training::Step Training::StepOf(std::size_t byte_size, int steps, int clients) {
  const Costs before = Now();
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&] { Run(byte_size, steps / clients); });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const int done = steps / clients * clients;
  return {seconds.count() / done, Since(before, done)};
}

Costs Training::Since(const Costs& before, int steps) const {
  Costs costs = Now();
  for (std::size_t i = 0; i < costs.size(); ++i) costs[i] = (costs[i] - before[i]) / steps;
  return costs;
}

Costs Training::Now() const {
  Costs costs;
  for (const pid_t process : processes_) costs.push_back(ProcessorSeconds(process));
  return costs;
}

void Training::Run(std::size_t byte_size, int steps) {
  dropout::Client client = ClientOf(address_, dropout::Transport::kInline);
  const std::string data(byte_size, 1);
  const dropout::TensorView x{dropout::DataType::kFloat32,
                              {static_cast<std::int64_t>(byte_size / 4)},
                              data.data(),
                              byte_size};
  dropout::StepRef step;
  step.layer_id = kLayer;
  for (int i = 0; i < steps; ++i) {
    const std::uint64_t next = next_step_++;
    step.step = next;
    step.session_id = sessions_[next % sessions_.size()];
    Check(client.Forward(step, x).status());
    Check(client.Backward(step, x).status());
  }
}

}  // namespace dropoutd::bench
