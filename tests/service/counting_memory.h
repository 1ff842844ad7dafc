// Counts what this program allocates and copies, by standing in for libc's functions.
#ifndef DROPOUTD_TESTS_SERVICE_COUNTING_MEMORY_H_
#define DROPOUTD_TESTS_SERVICE_COUNTING_MEMORY_H_

#include <cstddef>

namespace dropoutd {

struct MemoryCounts {
  std::size_t large_allocations = 0;  // Of kLarge bytes or more, by malloc or mmap.
  std::size_t allocated_bytes = 0;    // In all.
  std::size_t copied_bytes = 0;       // By memcpy and memmove.
};

inline constexpr std::size_t kLarge = std::size_t{256} << 10;

// Counting is off until the first; thread-safe, but for two counts at a time.
void StartCounting();
MemoryCounts StopCounting();

// What all threads of the program do during `work`.
template <typename Work>
MemoryCounts Count(Work work) {
  StartCounting();
  work();
  return StopCounting();
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SERVICE_COUNTING_MEMORY_H_
