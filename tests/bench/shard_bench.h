// Three shards of Redis against one, for small tensors: by the capacity model and measured.
#ifndef DROPOUTD_TESTS_BENCH_SHARD_BENCH_H_
#define DROPOUTD_TESTS_BENCH_SHARD_BENCH_H_

#include "tests/bench/report.h"

namespace dropoutd::bench {

// Adds no rows where Redis is not installed.
void BenchShards(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_SHARD_BENCH_H_
