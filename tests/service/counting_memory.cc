#include "tests/service/counting_memory.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

// glibc's own names for what is replaced here.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* place, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace dropoutd {
namespace {

std::atomic<bool> counting{false};
std::atomic<std::size_t> large_allocations{0};
std::atomic<std::size_t> allocated_bytes{0};
std::atomic<std::size_t> copied_bytes{0};

void CountAllocation(std::size_t size) {
  if (!counting) return;
  allocated_bytes += size;
  if (size >= kLarge) ++large_allocations;
}

// A loop that the compiler must not make a call of memcpy of.
__attribute__((optimize("no-tree-loop-distribute-patterns"))) void* Copy(void* to, const void* from,
                                                                         std::size_t size) {
  if (counting) copied_bytes += size;
  auto* const y = static_cast<unsigned char*>(to);
  const auto* const x = static_cast<const unsigned char*>(from);
  if (y <= x) {
    for (std::size_t i = 0; i < size; ++i) y[i] = x[i];
  } else {
    for (std::size_t i = size; i != 0; --i) y[i - 1] = x[i - 1];
  }
  return to;
}

}  // namespace

void StartCounting() {
  large_allocations = 0;
  allocated_bytes = 0;
  copied_bytes = 0;
  counting = true;
}

MemoryCounts StopCounting() {
  counting = false;
  return {large_allocations, allocated_bytes, copied_bytes};
}

}  // namespace dropoutd

extern "C" {

void* malloc(std::size_t size) {
  dropoutd::CountAllocation(size);
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
  dropoutd::CountAllocation(count * size);
  return __libc_calloc(count, size);
}

void* realloc(void* place, std::size_t size) {
  dropoutd::CountAllocation(size);
  return __libc_realloc(place, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  dropoutd::CountAllocation(size);
  return __libc_memalign(alignment, size);
}

void* mmap(void* place, std::size_t size, int protection, int flags, int file, off_t offset) {
  dropoutd::CountAllocation(size);
  return reinterpret_cast<void*>(syscall(SYS_mmap, place, size, protection, flags, file, offset));
}

void* memcpy(void* to, const void* from, std::size_t size) {
  return dropoutd::Copy(to, from, size);
}

void* memmove(void* to, const void* from, std::size_t size) {
  return dropoutd::Copy(to, from, size);
}
}
