// The dropout kernels, in this process, on one thread.
#ifndef DROPOUTD_TESTS_BENCH_KERNEL_BENCH_H_
#define DROPOUTD_TESTS_BENCH_KERNEL_BENCH_H_

#include <cstddef>

#include "server/dropout/plan.h"
#include "tests/bench/report.h"

namespace dropoutd::bench {

// A train Forward of `byte_size` bytes of float32 through a Bernoulli layer of probability kP.
Plan TrainPlan(std::size_t byte_size);

// Adds the kernels' rows to `report`. `smoke`: small and few, to see that they run.
void BenchKernels(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_KERNEL_BENCH_H_
