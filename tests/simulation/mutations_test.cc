// The simulation finds the faults that it is made for.
#include "tests/simulation/mutations.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <string>
#include <utility>

#include "tests/simulation/engine_simulation.h"
#include "tests/simulation/store_simulation.h"

namespace dropoutd {
namespace {

constexpr std::uint64_t kMostOperations = 100'000;
constexpr std::uint64_t kOperationsOfASeed = 1'000;

template <typename Simulation, typename Options>
SimulationResult RunSeed(const Mutation& mutation, std::uint64_t seed, bool& has_changed) {
  Options options;
  options.seed = seed;
  options.operations = kOperationsOfASeed;
  options.script = [&](const std::string& script) {
    std::string changed = mutation.Of(script);
    has_changed = has_changed || changed != script;
    return changed;
  };
  options.wrap = mutation.wrap;
  if constexpr (requires { options.face; }) options.face = mutation.face;
  return Simulation(std::move(options)).Run();
}

class MutationTest : public testing::TestWithParam<Mutation> {};

TEST_P(MutationTest, IsFound) {
  const Mutation& mutation = GetParam();
  bool has_changed = mutation.from.empty();
  std::uint64_t operations = 0;
  for (std::uint64_t seed = 1; operations < kMostOperations; ++seed) {
    const SimulationResult result =
        mutation.is_of_engines
            ? RunSeed<EngineSimulation, EngineSimulationOptions>(mutation, seed, has_changed)
            : RunSeed<StoreSimulation, StoreSimulationOptions>(mutation, seed, has_changed);
    operations += result.operations;
    if (result.violation.empty()) continue;
    RecordProperty("operations", static_cast<int>(operations));
    std::cout << mutation.name << " found after " << operations
              << " operations: " << result.violation.substr(0, result.violation.find('\n'))
              << std::endl;
    break;
  }
  EXPECT_TRUE(has_changed) << mutation.name
                           << ": the scripts have no such text any more: " << mutation.from;
  EXPECT_LT(operations, kMostOperations);
}

INSTANTIATE_TEST_SUITE_P(All, MutationTest, testing::ValuesIn(AllMutations()),
                         [](const auto& each) { return each.param.name; });

TEST(StoreSimulationTest, FindsNothingInTheStoreAsItIs) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    StoreSimulation simulation({.seed = seed, .operations = 1'000, .script = {}, .wrap = {}});
    const SimulationResult result = simulation.Run();
    EXPECT_EQ(result.violation, "") << simulation.Print();
    EXPECT_GE(result.operations, 1'000u);
  }
}

TEST(StoreSimulationTest, ASeedReplaysExactly) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const StoreSimulationOptions options{
        .seed = seed, .operations = 1'000, .script = {}, .wrap = {}};
    const SimulationResult first = StoreSimulation(options).Run();
    const SimulationResult second = StoreSimulation(options).Run();
    EXPECT_EQ(first.digest, second.digest);
    EXPECT_EQ(first.operations, second.operations);
  }
}

TEST(EngineSimulationTest, FindsNothingInTheEngineAsItIs) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EngineSimulationOptions options;
    options.seed = seed;
    EngineSimulation simulation(options);
    const SimulationResult result = simulation.Run();
    EXPECT_EQ(result.violation, "") << simulation.Print();
    EXPECT_GE(result.operations, 1'000u);
  }
}

TEST(EngineSimulationTest, ASeedReplaysExactly) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    EngineSimulationOptions options;
    options.seed = seed;
    const SimulationResult first = EngineSimulation(options).Run();
    const SimulationResult second = EngineSimulation(options).Run();
    EXPECT_EQ(first.digest, second.digest);
    EXPECT_EQ(first.operations, second.operations);
  }
}

}  // namespace
}  // namespace dropoutd
