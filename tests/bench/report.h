// Benchmark rows as a table for people and JSON for machines.
#ifndef DROPOUTD_TESTS_BENCH_REPORT_H_
#define DROPOUTD_TESTS_BENCH_REPORT_H_

#include <string>
#include <vector>

#include "tests/bench/paired.h"

namespace dropoutd::bench {

class Report {
 public:
  // Prints the table's head to standard output.
  Report();

  // Prints the row at once, so that a long run shows how far it is.
  void Add(Row row);

  // Throws std::runtime_error if the file cannot be written.
  void WriteJson(const std::string& path) const;

  // The same for a plot, as SVG.
  void WritePlot(const std::string& path) const;

 private:
  std::vector<Row> rows_;
};

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_REPORT_H_
