// What a call costs, against gRPC's own price.
#ifndef DROPOUTD_TESTS_BENCH_RPC_BENCH_H_
#define DROPOUTD_TESTS_BENCH_RPC_BENCH_H_

#include "tests/bench/report.h"

namespace dropoutd::bench {

// Starts servers as children: dropoutd, and this program as an echo (--echo). `smoke`: that it
// works, not how fast.
void BenchCalls(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_RPC_BENCH_H_
