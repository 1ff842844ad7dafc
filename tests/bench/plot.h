// Benchmark rows as a picture.
#ifndef DROPOUTD_TESTS_BENCH_PLOT_H_
#define DROPOUTD_TESTS_BENCH_PLOT_H_

#include <string>
#include <vector>

#include "tests/bench/paired.h"

namespace dropoutd::bench {

// An SVG of a bar for each row, as long as the logarithm of its median ratio, with the quartiles as
// a whisker and the figure asked for as a mark.
std::string PlotOf(const std::vector<Row>& rows);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_PLOT_H_
