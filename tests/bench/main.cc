// Measures what dropoutd costs, as ratios against named baselines in one run.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "server/kernels/simd_target.h"
#include "server/memory/heap.h"
#include "tests/bench/capacity_bench.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/kernel_bench.h"
#include "tests/bench/linear_bench.h"
#include "tests/bench/model_bench.h"
#include "tests/bench/report.h"
#include "tests/bench/rpc_bench.h"
#include "tests/bench/service_bench.h"
#include "tests/bench/store_bench.h"
#include "tests/bench/tenant_bench.h"

namespace bench = dropoutd::bench;

int main(int argc, char** argv) {
  CLI::App app("Benchmarks of dropoutd as ratios against named baselines");
  std::string json_path;
  std::string plot_path;
  std::string simd_target;
  bool smoke = false;
  app.add_option("--json", json_path, "Also write the rows as JSON to this file");
  app.add_option("--plot", plot_path, "Also draw the rows into this SVG file");
  app.add_option("--simd_target", simd_target, "Instruction set to run on");
  std::string only;
  app.add_option("--only", only, "One part; all by default")
      ->check(CLI::IsMember(
          {"kernels", "linear", "calls", "services", "stores", "capacity", "tenants", "models"}));
  std::string echo, listen = "127.0.0.1:0";
  app.add_option("--echo", echo, "Be an echo server instead: sync, callback or queue")->group("");
  app.add_option("--listen", listen, "Where to echo")->group("");
  bench::ChannelSettings settings;
  app.add_option_function<std::vector<std::string>>(
         "--channel",
         [&](const std::vector<std::string>& values) {
           for (const std::string& value : values) {
             const std::size_t at = value.find('=');
             settings.emplace_back(value.substr(0, at), std::stoi(value.substr(at + 1)));
           }
         },
         "NAME=VALUE of a channel argument of the echo")
      ->group("");
  app.add_flag("--smoke", smoke, "Small and few: that it works, not how fast");
  CLI11_PARSE(app, argc, argv);
  if (!dropoutd::kernels::ForceSimdTarget(simd_target)) {
    std::cerr << "this machine does not have " << simd_target << "\n";
    return 2;
  }
  // As the servers do: else each message of megabytes would meet fresh pages.
  dropoutd::KeepFreedMemory();
  if (!echo.empty()) return bench::RunEchoServer(echo, listen, settings);
  try {
    bench::Report report;
    const std::vector<std::pair<std::string, void (*)(bool, bench::Report&)>> parts = {
        {"kernels", bench::BenchKernels}, {"linear", bench::BenchLinear},
        {"calls", bench::BenchCalls},     {"services", bench::BenchServices},
        {"stores", bench::BenchStores},   {"capacity", bench::BenchCapacity},
        {"tenants", bench::BenchTenants}, {"models", bench::BenchModels},
    };
    for (const auto& [name, run] : parts) {
      if (only.empty() || only == name) run(smoke, report);
    }
    if (!json_path.empty()) report.WriteJson(json_path);
    if (!plot_path.empty()) report.WritePlot(plot_path);
  } catch (const std::exception& error) {
    std::cerr << "bench: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
