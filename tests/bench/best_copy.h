// The fastest copy that we know how to write by hand: what a pass over memory can reach.
#ifndef DROPOUTD_TESTS_BENCH_BEST_COPY_H_
#define DROPOUTD_TESTS_BENCH_BEST_COPY_H_

#include <cstddef>

namespace dropoutd::bench {

// Copies `byte_size` bytes, a multiple of 256, between places aligned to 64 bytes: asks for the
// input ahead of its use, and writes past the caches.
void BestCopy(const void* from, std::size_t byte_size, void* to);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_BEST_COPY_H_
