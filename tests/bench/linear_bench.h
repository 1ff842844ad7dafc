// DropConnect's products with masked weights, in this process, on one thread.
#ifndef DROPOUTD_TESTS_BENCH_LINEAR_BENCH_H_
#define DROPOUTD_TESTS_BENCH_LINEAR_BENCH_H_

#include "tests/bench/report.h"

namespace dropoutd::bench {

// Adds rows to `report`, each beside Eigen's product of the same sizes. `smoke`: small and few.
void BenchLinear(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_LINEAR_BENCH_H_
