#include "server/memory/heap.h"

#include <cstddef>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace dropoutd {

void KeepFreedMemory() {
#if defined(__GLIBC__)
  // The largest threshold that glibc takes: blocks above it are mapped and unmapped each time.
  constexpr int kMapFrom = 32 << 20;
  // At the end of each arena.
  constexpr int kKeep = 64 << 20;
  mallopt(M_MMAP_THRESHOLD, kMapFrom);
  mallopt(M_TRIM_THRESHOLD, kKeep);
#endif
}

void ReleaseFreedMemory() {
#if defined(__GLIBC__)
  constexpr std::size_t kMuch = std::size_t{32} << 20;
  if (mallinfo2().fordblks > kMuch) malloc_trim(0);
#endif
}

}  // namespace dropoutd
