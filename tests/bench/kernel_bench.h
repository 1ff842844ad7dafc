// The dropout kernels, in this process, on one thread.
#ifndef DROPOUTD_TESTS_BENCH_KERNEL_BENCH_H_
#define DROPOUTD_TESTS_BENCH_KERNEL_BENCH_H_

#include "tests/bench/report.h"

namespace dropoutd::bench {

// Adds the kernels' rows to `report`. `smoke`: small and few, to see that they run.
void BenchKernels(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_KERNEL_BENCH_H_
