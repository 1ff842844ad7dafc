// How the process keeps the memory that it has freed.
#ifndef DROPOUTD_SERVER_MEMORY_HEAP_H_
#define DROPOUTD_SERVER_MEMORY_HEAP_H_

namespace dropoutd {

// Has the allocator keep freed memory, within bounds, for the next message: by default it
// gives large blocks back to the system at once, and mapping them again costs more than the
// work that dropout does on them. Call it before the first thread starts. Does nothing where
// the C library is not glibc.
void KeepFreedMemory();

// Gives the system what KeepFreedMemory kept, if it is much. For times of little work; thread-safe.
void ReleaseFreedMemory();

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MEMORY_HEAP_H_
