// Where kernels put their results.
#ifndef DROPOUTD_SERVER_KERNELS_STORES_H_
#define DROPOUTD_SERVER_KERNELS_STORES_H_

namespace dropoutd::kernels {

// Streaming passes the caches by, which pays for outputs that are larger than them;
// FlushStores must follow before another thread reads them.
enum class Stores { kCached, kStreaming };

// Makes streaming stores of this thread visible to others. Thread-safe.
void FlushStores();

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_STORES_H_
