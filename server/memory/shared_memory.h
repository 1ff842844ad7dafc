// Regions of memory that the server shares with clients on its own host: files that both
// map.
#ifndef DROPOUTD_SERVER_MEMORY_SHARED_MEMORY_H_
#define DROPOUTD_SERVER_MEMORY_SHARED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "server/memory/fault_guard.h"

namespace dropoutd {

struct SharedMemoryOptions {
  std::string directory = "/dev/shm";
  std::int64_t max_bytes = std::int64_t{1} << 30;  // Of all regions together.
  std::size_t max_regions = 256;                   // Each takes a descriptor.
};

// What regions take together. Thread-safe.
class RegionBudget {
 public:
  explicit RegionBudget(const SharedMemoryOptions& options) : options_(options) {}

  // QUOTA_SHARED_MEMORY. Free must follow.
  absl::Status Take(std::int64_t byte_size);
  void Free(std::int64_t byte_size);

  std::int64_t bytes() const;

 private:
  const SharedMemoryOptions options_;
  mutable std::mutex mutex_;
  std::int64_t bytes_ = 0;
  std::size_t regions_ = 0;
};

// A file and its mapping. The file goes with the last reference; the client may have
// taken it away, or cut it, long before: then broken() turns true once the lost bytes are
// touched, and they read as zeros. Thread-safe; what the bytes are is up to whoever writes
// them, in this process or another.
class SharedRegion {
 public:
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  const std::string& region_id() const { return region_id_; }
  const std::string& path() const { return path_; }
  std::int64_t byte_size() const { return byte_size_; }
  std::byte* data() const { return data_; }
  bool broken() const { return guard_->broken(); }

 private:
  friend class SharedMemory;
  SharedRegion(std::shared_ptr<RegionBudget> budget, std::string region_id, std::string path,
               std::int64_t byte_size);

  // The steps of making one; each may fail.
  absl::Status MakeFile();
  absl::Status Map();

  std::shared_ptr<RegionBudget> budget_;
  const std::string region_id_;
  const std::string path_;
  const std::int64_t byte_size_;
  int file_ = -1;  // Kept open: its lock says that the region's server lives.
  std::byte* data_ = nullptr;
  std::unique_ptr<FaultGuard> guard_;
};

using SharedRegionRef = std::shared_ptr<const SharedRegion>;

// Makes regions in a folder. Thread-safe.
class SharedMemory {
 public:
  // Removes the files that servers of this user left there when they were killed.
  // FAILED_PRECONDITION, without a reason, if the folder cannot be used.
  static absl::StatusOr<std::unique_ptr<SharedMemory>> Open(const SharedMemoryOptions& options);

  // A region of `byte_size` zeros in a file of mode 0600 that is named after `region_id`,
  // which must be unguessable. Its memory is taken at once, so that later there is enough.
  // INVALID_REQUEST for a size below 1, QUOTA_SHARED_MEMORY.
  absl::StatusOr<SharedRegionRef> Create(std::string region_id, std::int64_t byte_size);

  const RegionBudget& budget() const { return *budget_; }
  const SharedMemoryOptions& options() const { return options_; }

 private:
  explicit SharedMemory(const SharedMemoryOptions& options);

  const SharedMemoryOptions options_;
  std::shared_ptr<RegionBudget> budget_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MEMORY_SHARED_MEMORY_H_
