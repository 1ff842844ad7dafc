// Measures what dropoutd costs, as ratios against named baselines in one run.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string>

#include "server/kernels/simd_target.h"
#include "server/memory/heap.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/kernel_bench.h"
#include "tests/bench/linear_bench.h"
#include "tests/bench/report.h"
#include "tests/bench/rpc_bench.h"
#include "tests/bench/store_bench.h"

int main(int argc, char** argv) {
  CLI::App app("Benchmarks of dropoutd as ratios against named baselines");
  std::string json_path;
  std::string simd_target;
  bool smoke = false;
  app.add_option("--json", json_path, "Also write the rows as JSON to this file");
  app.add_option("--simd_target", simd_target, "Instruction set to run on");
  std::string only;
  app.add_option("--only", only, "kernels, linear, calls or stores; all by default")
      ->check(CLI::IsMember({"kernels", "linear", "calls", "stores"}));
  std::string echo, listen = "127.0.0.1:0";
  app.add_option("--echo", echo, "Be an echo server instead: sync, callback or queue")->group("");
  app.add_option("--listen", listen, "Where to echo")->group("");
  app.add_flag("--smoke", smoke, "Small and few: that it works, not how fast");
  CLI11_PARSE(app, argc, argv);
  if (!dropoutd::kernels::ForceSimdTarget(simd_target)) {
    std::cerr << "this machine does not have " << simd_target << "\n";
    return 2;
  }
  // As the servers do: else each message of megabytes would meet fresh pages.
  dropoutd::KeepFreedMemory();
  if (!echo.empty()) return dropoutd::bench::RunEchoServer(echo, listen, {});
  try {
    dropoutd::bench::Report report;
    if (only.empty() || only == "kernels") dropoutd::bench::BenchKernels(smoke, report);
    if (only.empty() || only == "linear") dropoutd::bench::BenchLinear(smoke, report);
    if (only.empty() || only == "calls") dropoutd::bench::BenchCalls(smoke, report);
    if (only.empty() || only == "stores") dropoutd::bench::BenchStores(smoke, report);
    if (!json_path.empty()) report.WriteJson(json_path);
  } catch (const std::exception& error) {
    std::cerr << "bench: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
