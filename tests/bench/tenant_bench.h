// What a tenant feels of another one that holds every limit full.
#ifndef DROPOUTD_TESTS_BENCH_TENANT_BENCH_H_
#define DROPOUTD_TESTS_BENCH_TENANT_BENCH_H_

#include "tests/bench/report.h"

namespace dropoutd::bench {

// Throws std::runtime_error if a call of the one is refused, or one of the other is not.
void BenchTenants(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_TENANT_BENCH_H_
