#include "tests/bench/capacity_bench.h"

#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/capacity_model.h"
#include "tests/bench/paired.h"
#include "tests/bench/redis_child.h"
#include "tests/bench/served.h"
#include "tests/bench/shard_bench.h"
#include "tests/bench/training.h"

namespace dropoutd::bench {
namespace {

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
  Training training(server.address(), processes, {kSession});
  const int steps = smoke ? kClients : 1000;
  training.CostOf(CapacityModel::kLarge, steps / 4);  // Warms up.
  std::array<Row, 2> costs;
  std::array<Row, 2> rates;
  Row small = RowOf("processor time of a step, " + name, CapacityModel::kSmall);
  Row large = RowOf("processor time of a step, " + name, CapacityModel::kLarge);
  for (std::size_t i = 0; i < kOthers.size(); ++i) {
    costs[i] = RowOf("processor time of a step, " + name, kOthers[i]);
    rates[i] = RowOf("steps of 4 clients, " + name, kOthers[i]);
  }
  for (int round = 0; round < (smoke ? 1 : 5); ++round) {
    const Costs at_small = training.CostOf(CapacityModel::kSmall, steps);
    const Costs at_large = training.CostOf(CapacityModel::kLarge, steps / 4);
    const CapacityModel model(at_small, at_large);
    small.seconds.push_back(Sum(at_small));
    large.seconds.push_back(Sum(at_large));
    small.ratios.push_back(1);
    large.ratios.push_back(1);
    for (std::size_t i = 0; i < kOthers.size(); ++i) {
      const double cost = Sum(training.CostOf(kOthers[i], steps / 2));
      costs[i].seconds.push_back(cost);
      costs[i].ratios.push_back(Sum(model.At(kOthers[i])) / cost);
      const double seconds = training.StepOf(kOthers[i], steps, kClients).seconds;
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
  BenchShards(smoke, report);
}

}  // namespace dropoutd::bench
