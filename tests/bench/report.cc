#include "tests/bench/report.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "server/kernels/simd_target.h"
#include "tests/bench/plot.h"

namespace dropoutd::bench {
namespace {

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

std::string ThroughputOf(const Row& row) {
  const double seconds = Quantile(row.seconds, 0.5);
  char text[32];
  if (row.steps > 0) {
    std::snprintf(text, sizeof(text), "%9.0f steps/s", row.steps / seconds);
  } else {
    std::snprintf(text, sizeof(text), "%9.2f %s",
                  (row.flops > 0 ? row.flops : row.bytes) / seconds / 1e9,
                  row.flops > 0 ? "GFLOPS" : "GB/s");
  }
  return text;
}

}  // namespace

Report::Report() {
  std::printf("SIMD target: %s. ratio = baseline's time / ours, median of pairs [quartiles]\n\n",
              kernels::SimdTarget().c_str());
  std::printf("%-46s %-33s %7s  %-17s %9s %16s\n", "what", "baseline", "ratio", "quartiles",
              "at least", "throughput");
}

void Report::Add(Row row) {
  char wanted[16] = "-";
  if (row.at_least > 0) std::snprintf(wanted, sizeof(wanted), "%.2f", row.at_least);
  std::printf("%-46s %-33s %7.2f  [%6.2f, %6.2f]  %9s %s\n", row.what.c_str(), row.baseline.c_str(),
              Quantile(row.ratios, 0.5), Quantile(row.ratios, 0.25), Quantile(row.ratios, 0.75),
              wanted, ThroughputOf(row).c_str());
  std::fflush(stdout);
  rows_.push_back(std::move(row));
}

void Report::WriteJson(const std::string& path) const {
  nlohmann::ordered_json json;
  json["simd_target"] = kernels::SimdTarget();
  json["rows"] = nlohmann::ordered_json::array();
  for (const Row& row : rows_) {
    json["rows"].push_back(
        {{"what", row.what},
         {"baseline", row.baseline},
         {"ratio_median", Quantile(row.ratios, 0.5)},
         {"ratio_quartiles", {Quantile(row.ratios, 0.25), Quantile(row.ratios, 0.75)}},
         {"at_least", row.at_least},
         {"seconds_median", Quantile(row.seconds, 0.5)},
         {"bytes", row.bytes},
         {"flops", row.flops},
         {"steps", row.steps},
         {"pairs", row.ratios.size()}});
  }
  WriteFile(path, json.dump(2) + "\n");
}

void Report::WritePlot(const std::string& path) const { WriteFile(path, PlotOf(rows_)); }

}  // namespace dropoutd::bench
