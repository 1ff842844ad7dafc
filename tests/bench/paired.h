// Two ways to do the same, timed in turn: on a shared machine a ratio holds where a time
// does not.
#ifndef DROPOUTD_TESTS_BENCH_PAIRED_H_
#define DROPOUTD_TESTS_BENCH_PAIRED_H_

#include <functional>
#include <string>
#include <vector>

namespace dropoutd::bench {

// Runs the work once and returns the seconds it took.
using Timed = std::function<double()>;

// `work`, repeated `repeats` times for each timing, timed by the steady clock.
Timed TimeOf(std::function<void()> work, int repeats);

struct Row {
  std::string what;
  std::string baseline;
  double bytes = 0;             // Moved by one run of the contender's work.
  std::vector<double> ratios;   // Baseline's time by the contender's, pair by pair.
  std::vector<double> seconds;  // The contender's, for one run of its work.
  double at_least = 0;          // The figure asked for; 0: none.
  double flops = 0;             // Of one run, where they are what counts; else 0.
  double steps = 0;             // Likewise.
};

struct PairOptions {
  int pairs = 15;
  int contender_repeats = 1;
  int baseline_repeats = 1;
};

// Times baseline and contender in turn, after one round of warm-up. Ratios are per run of
// the work, whatever the repeats.
Row RunPairs(Row row, const std::function<void()>& contender, const Timed& baseline,
             const PairOptions& options);

// The same where both say by themselves how long one run took.
Row RunPairs(Row row, const Timed& contender, const Timed& baseline, int pairs);

// The q-quantile (0 to 1) of `values`, which is not empty.
double Quantile(std::vector<double> values, double q);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_PAIRED_H_
