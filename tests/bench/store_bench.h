// What it costs to keep sessions in a store.
#ifndef DROPOUTD_TESTS_BENCH_STORE_BENCH_H_
#define DROPOUTD_TESTS_BENCH_STORE_BENCH_H_

#include "tests/bench/report.h"

namespace dropoutd::bench {

// Forward and Backward of 1 MiB through servers over SQLite and, where redis-server is installed,
// Redis, against one that keeps all in memory.
void BenchStores(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_STORE_BENCH_H_
