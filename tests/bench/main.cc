// Measures what dropoutd costs, as ratios against named baselines in one run.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string>

#include "server/kernels/simd_target.h"
#include "tests/bench/kernel_bench.h"
#include "tests/bench/linear_bench.h"
#include "tests/bench/report.h"

int main(int argc, char** argv) {
  CLI::App app("Benchmarks of dropoutd as ratios against named baselines");
  std::string json_path;
  std::string simd_target;
  bool smoke = false;
  app.add_option("--json", json_path, "Also write the rows as JSON to this file");
  app.add_option("--simd_target", simd_target, "Instruction set to run on");
  app.add_flag("--smoke", smoke, "Small and few: that it works, not how fast");
  CLI11_PARSE(app, argc, argv);
  if (!dropoutd::kernels::ForceSimdTarget(simd_target)) {
    std::cerr << "this machine does not have " << simd_target << "\n";
    return 2;
  }
  try {
    dropoutd::bench::Report report;
    dropoutd::bench::BenchKernels(smoke, report);
    dropoutd::bench::BenchLinear(smoke, report);
    if (!json_path.empty()) report.WriteJson(json_path);
  } catch (const std::exception& error) {
    std::cerr << "bench: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
