#include "tests/bench/paired.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

namespace dropoutd::bench {

Timed TimeOf(std::function<void()> work, int repeats) {
  return [work = std::move(work), repeats] {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < repeats; ++i) work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
}

Row RunPairs(Row row, const Timed& contender, const Timed& baseline, int pairs) {
  for (int i = -1; i < pairs; ++i) {
    const double base = baseline();
    const double own = contender();
    if (i < 0) continue;  // Warm-up.
    row.ratios.push_back(base / own);
    row.seconds.push_back(own);
  }
  return row;
}

Row RunPairs(Row row, const std::function<void()>& contender, const Timed& baseline,
             const PairOptions& options) {
  const Timed timed = TimeOf(contender, options.contender_repeats);
  return RunPairs(
      std::move(row), [&] { return timed() / options.contender_repeats; },
      [&] { return baseline() / options.baseline_repeats; }, options.pairs);
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

}  // namespace dropoutd::bench
