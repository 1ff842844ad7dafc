// Ways of serving with gRPC, and its channel arguments, by an echo of bytes.
#ifndef DROPOUTD_TESTS_BENCH_MODEL_BENCH_H_
#define DROPOUTD_TESTS_BENCH_MODEL_BENCH_H_

#include "tests/bench/report.h"

namespace dropoutd::bench {

// Adds sync servers and completion queues against callback servers, by size and socket, and channel
// arguments against gRPC's defaults. `smoke`: once and small.
void BenchModels(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_MODEL_BENCH_H_
