// Whole servers against one another.
#ifndef DROPOUTD_TESTS_BENCH_SERVICE_BENCH_H_
#define DROPOUTD_TESTS_BENCH_SERVICE_BENCH_H_

#include "tests/bench/report.h"

namespace dropoutd::bench {

// Adds a Forward against a service in Python with NumPy, the Python client's Forwards, and a
// Forward against one without metrics. `smoke`:
// once and small.
void BenchServices(bool smoke, Report& report);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_SERVICE_BENCH_H_
