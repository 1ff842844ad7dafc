// Runs simulations, one for each seed.
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "tests/simulation/engine_simulation.h"
#include "tests/simulation/mutations.h"
#include "tests/simulation/store_simulation.h"

namespace dropoutd {
namespace {

// Whether stores are tried or whole engines: each by half of the seeds, if not told otherwise.
enum class Level { kBoth, kStore, kEngine };

struct Arguments {
  Level level = Level::kBoth;
  std::uint64_t seed = 1;
  std::uint64_t seeds = 100;
  std::uint64_t operations = 10'000;
  double seconds = 0;  // Stops after these; 0: after the seeds.
  std::uint64_t jobs = std::max(1u, std::thread::hardware_concurrency());
  bool is_quiet = false;
  const Mutation* mutation = nullptr;
};

const Mutation* FindMutation(const std::string& name) {
  for (const Mutation& each : AllMutations()) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

template <typename Options>
Options OptionsOf(const Arguments& arguments, std::uint64_t seed) {
  Options options;
  options.seed = seed;
  options.operations = arguments.operations;
  if (const Mutation* const mutation = arguments.mutation) {
    options.script = [mutation](const std::string& source) { return mutation->Of(source); };
    options.wrap = mutation->wrap;
    if constexpr (requires { options.face; }) options.face = mutation->face;
  }
  return options;
}

bool ReadLevel(const std::string& name, Level& level) {
  if (name == "store") {
    level = Level::kStore;
  } else if (name == "engine") {
    level = Level::kEngine;
  } else {
    return false;
  }
  return true;
}

// False: there is what it does not know.
bool Read(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const std::size_t equals = argument.find('=');
    const std::string_view name = argument.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? "" : argument.substr(equals + 1));
    bool is_good = true;
    if (name == "--seed") {
      is_good = absl::SimpleAtoi(value, &arguments.seed);
      arguments.seeds = 1;
    } else if (name == "--seeds") {
      is_good = absl::SimpleAtoi(value, &arguments.seeds);
    } else if (name == "--operations") {
      is_good = absl::SimpleAtoi(value, &arguments.operations);
    } else if (name == "--seconds") {
      is_good = absl::SimpleAtod(value, &arguments.seconds);
    } else if (name == "--jobs") {
      is_good = absl::SimpleAtoi(value, &arguments.jobs) && arguments.jobs > 0;
    } else if (name == "--mutation") {
      arguments.mutation = FindMutation(value);
      is_good = arguments.mutation != nullptr;
      if (is_good && arguments.level == Level::kBoth) {
        arguments.level = arguments.mutation->is_of_engines ? Level::kEngine : Level::kStore;
      }
    } else if (name == "--level") {
      is_good = ReadLevel(value, arguments.level);
    } else if (name == "--quiet") {
      arguments.is_quiet = true;
    } else {
      is_good = false;
    }
    if (!is_good) {
      std::cerr << "usage: simulate [--seed=N] [--seeds=N] [--operations=N] [--seconds=S] "
                   "[--jobs=N] [--level=store|engine] [--mutation=NAME] [--quiet]\n";
      return false;
    }
  }
  return true;
}

struct Totals {
  std::uint64_t seeds = 0;
  std::uint64_t operations = 0;
  std::uint64_t violations = 0;
  std::uint64_t lost_keys = 0;
};

// What it has drawn is printed first.
template <typename Simulation>
SimulationResult RunOne(Simulation& simulation, bool is_quiet, std::string& drawn) {
  drawn = simulation.Print() + "\n";
  if (!is_quiet) std::cout << drawn << std::flush;
  return simulation.Run();
}

SimulationResult RunSeed(const Arguments& arguments, std::uint64_t seed, std::string& drawn) {
  const bool is_store =
      arguments.level == Level::kStore || (arguments.level == Level::kBoth && seed % 2 == 0);
  if (is_store) {
    StoreSimulation simulation(OptionsOf<StoreSimulationOptions>(arguments, seed));
    return RunOne(simulation, arguments.is_quiet, drawn);
  }
  EngineSimulation simulation(OptionsOf<EngineSimulationOptions>(arguments, seed));
  return RunOne(simulation, arguments.is_quiet, drawn);
}

// Each job has the seeds that are its own by their remainder.
Totals RunJob(const Arguments& arguments, std::uint64_t job) {
  const auto begin = std::chrono::steady_clock::now();
  Totals totals;
  for (std::uint64_t i = job; i < arguments.seeds; i += arguments.jobs) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    if (arguments.seconds > 0 && spent.count() >= arguments.seconds) break;
    const std::uint64_t seed = arguments.seed + i;
    std::string drawn;
    const SimulationResult result = RunSeed(arguments, seed, drawn);
    ++totals.seeds;
    totals.operations += result.operations;
    totals.lost_keys += result.lost_keys;
    if (result.violation.empty()) continue;
    ++totals.violations;
    std::cout << (arguments.is_quiet ? drawn : "")
              << "violation with --seed=" + std::to_string(seed) +
                     " --operations=" + std::to_string(arguments.operations) + ": " +
                     result.violation + "\n"
              << std::flush;
  }
  return totals;
}

// In a process of its own, as there is one scheduler in each. False: it failed.
bool RunJobs(const Arguments& arguments, Totals& sum) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  std::vector<pid_t> children;
  for (std::uint64_t job = 0; job < arguments.jobs; ++job) {
    const pid_t child = fork();
    if (child < 0) return false;
    if (child == 0) {
      const Totals totals = RunJob(arguments, job);
      const bool is_told = write(ends[1], &totals, sizeof(totals)) == sizeof(totals);
      std::_Exit(is_told ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    children.push_back(child);
  }
  close(ends[1]);
  Totals totals;
  while (read(ends[0], &totals, sizeof(totals)) == sizeof(totals)) {
    sum.seeds += totals.seeds;
    sum.operations += totals.operations;
    sum.violations += totals.violations;
    sum.lost_keys += totals.lost_keys;
  }
  close(ends[0]);
  bool is_good = true;
  for (const pid_t child : children) {
    int status = 0;
    is_good = waitpid(child, &status, 0) == child && status == 0 && is_good;
  }
  return is_good;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  if (!Read(argc, argv, arguments)) return 2;
  Totals sum;
  const bool is_good = RunJobs(arguments, sum);
  if (sum.lost_keys > 0) {
    std::cout << sum.lost_keys << " keys were too ambiguous to be checked to the end\n";
  }
  std::cout << sum.seeds << " seeds, " << sum.operations << " operations, " << sum.violations
            << " violations" << (is_good ? "" : "; a run has ended by itself") << "\n";
  return is_good && sum.violations == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace dropoutd

int main(int argc, char** argv) { return dropoutd::Main(argc, argv); }
