// The capacity model of docs/operations.md, checked: what it says of sizes that it was not made of.
#ifndef DROPOUTD_TESTS_BENCH_CAPACITY_BENCH_H_
#define DROPOUTD_TESTS_BENCH_CAPACITY_BENCH_H_

#include "tests/bench/report.h"

namespace dropoutd::bench {

// Measures the processor time that a training step costs at two sizes, here, in the server and in
// Redis, and adds what the model makes of it beside what is measured: processor time at other
// sizes, and steps a second of clients side by side. `smoke`: once and small.
void BenchCapacity(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_CAPACITY_BENCH_H_
