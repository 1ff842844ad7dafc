#include "tests/bench/capacity_bench.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "dropout/client.h"
#include "tests/bench/paired.h"
#include "tests/bench/redis_child.h"
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

// Processor seconds of a step, by process: the client, the server, and Redis if there is one.
using Costs = std::vector<double>;

double Sum(const Costs& costs) { return std::accumulate(costs.begin(), costs.end(), 0.0); }

// Trains on a server: a step is a Forward and a Backward of `byte_size` bytes each.
class Training {
 public:
  Training(const std::string& address, std::vector<pid_t> processes)
      : address_(address), processes_(std::move(processes)) {}

  // The costs of one of `steps` steps in turn.
  Costs CostOf(std::size_t byte_size, int steps) {
    const Costs before = Now();
    Run(byte_size, steps);
    Costs costs = Now();
    for (std::size_t i = 0; i < costs.size(); ++i) costs[i] = (costs[i] - before[i]) / steps;
    return costs;
  }

  // The seconds of one of `steps` steps of `clients` clients side by side.
  double SecondsOf(std::size_t byte_size, int steps, int clients) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; ++i) {
      threads.emplace_back([&] { Run(byte_size, steps / clients); });
    }
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    return seconds.count() / (steps / clients * clients);
  }

 private:
  Costs Now() const {
    Costs costs;
    for (const pid_t process : processes_) costs.push_back(ProcessorSeconds(process));
    return costs;
  }

  void Run(std::size_t byte_size, int steps) {
    dropout::Client client = ClientOf(address_, dropout::Transport::kInline);
    const std::string data(byte_size, 1);
    const dropout::TensorView x{dropout::DataType::kFloat32,
                                {static_cast<std::int64_t>(byte_size / 4)},
                                data.data(),
                                byte_size};
    dropout::StepRef step;
    step.session_id = kSession;
    step.layer_id = kLayer;
    for (int i = 0; i < steps; ++i) {
      step.step = next_step_++;
      Check(client.Forward(step, x).status());
      Check(client.Backward(step, x).status());
    }
  }

  std::string address_;
  std::vector<pid_t> processes_;
  std::atomic<std::uint64_t> next_step_{0};
};

// cost = call + byte * bytes, made of two sizes.
class Model {
 public:
  static constexpr std::size_t kSmall = 4 << 10;
  static constexpr std::size_t kLarge = 1 << 20;

  Model(const Costs& small, const Costs& large) : small_(small), large_(large) {}

  Costs At(std::size_t byte_size) const {
    const double share = (static_cast<double>(byte_size) - kSmall) / (kLarge - kSmall);
    Costs costs;
    for (std::size_t i = 0; i < small_.size(); ++i) {
      costs.push_back(small_[i] + share * (large_[i] - small_[i]));
    }
    return costs;
  }

  // Seconds between the ends of two steps when `processors` are busy. Redis has one thread.
  double SecondsAt(std::size_t byte_size, double processors) const {
    const Costs costs = At(byte_size);
    const double all = Sum(costs) / processors;
    return costs.size() > 2 ? std::max(all, costs[2]) : all;
  }

 private:
  Costs small_;
  Costs large_;
};

Row RowOf(const std::string& what, std::size_t byte_size) {
  return {what + ", " + SizeName(byte_size),
          "the capacity model",
          4.0 * static_cast<double>(byte_size),
          {},
          {},
          0};
}

void BenchStore(const std::string& name, const std::string& store, std::vector<pid_t> processes,
                bool smoke, Report& report) {
  constexpr std::array<std::size_t, 2> kOthers = {64 << 10, 256 << 10};
  constexpr int kClients = 4;
  const ServerChild server = StartServer(kTcp, {"--store=" + store});
  MakeSession(server.address());
  processes.insert(processes.begin(), {getpid(), server.pid()});
  Training training(server.address(), processes);
  const int steps = smoke ? kClients : 1000;
  training.CostOf(Model::kLarge, steps / 4);  // Warms up.
  std::array<Row, 2> costs;
  std::array<Row, 2> rates;
  Row small = RowOf("processor time of a step, " + name, Model::kSmall);
  Row large = RowOf("processor time of a step, " + name, Model::kLarge);
  for (std::size_t i = 0; i < kOthers.size(); ++i) {
    costs[i] = RowOf("processor time of a step, " + name, kOthers[i]);
    rates[i] = RowOf("steps of 4 clients, " + name, kOthers[i]);
  }
  for (int round = 0; round < (smoke ? 1 : 5); ++round) {
    const Costs at_small = training.CostOf(Model::kSmall, steps);
    const Costs at_large = training.CostOf(Model::kLarge, steps / 4);
    const Model model(at_small, at_large);
    small.seconds.push_back(Sum(at_small));
    large.seconds.push_back(Sum(at_large));
    small.ratios.push_back(1);
    large.ratios.push_back(1);
    for (std::size_t i = 0; i < kOthers.size(); ++i) {
      const double cost = Sum(training.CostOf(kOthers[i], steps / 2));
      costs[i].seconds.push_back(cost);
      costs[i].ratios.push_back(Sum(model.At(kOthers[i])) / cost);
      const double seconds = training.SecondsOf(kOthers[i], steps, kClients);
      rates[i].seconds.push_back(seconds);
      rates[i].ratios.push_back(model.SecondsAt(kOthers[i], std::thread::hardware_concurrency()) /
                                seconds);
    }
  }
  report.Add(std::move(small));
  report.Add(std::move(large));
  for (Row& row : costs) report.Add(std::move(row));
  for (Row& row : rates) report.Add(std::move(row));
}

}  // namespace

void BenchCapacity(bool smoke, Report& report) {
  BenchStore("memory", "memory", {}, smoke, report);
  if (!RedisChild::IsInstalled()) return;
  const RedisChild redis;
  BenchStore("Redis", redis.url(), {redis.pid()}, smoke, report);
}

}  // namespace dropoutd::bench
