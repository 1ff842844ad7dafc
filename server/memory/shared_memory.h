// Regions of memory that the server shares with clients on its own host: files that both
// map.
#ifndef DROPOUTD_SERVER_MEMORY_SHARED_MEMORY_H_
#define DROPOUTD_SERVER_MEMORY_SHARED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "server/base/quota.h"
#include "server/memory/fault_guard.h"

namespace dropoutd {

struct SharedMemoryOptions {
  std::string directory = "/dev/shm";
  std::int64_t max_bytes = std::int64_t{1} << 30;  // Of all regions together.
  std::size_t tenant_max_bytes = kNoTenantLimit;
  std::size_t max_regions = 256;  // Each takes a descriptor.
  std::size_t tenant_max_regions = kNoTenantLimit;
};

// What regions take together. Thread-safe.
class RegionBudget {
 public:
  explicit RegionBudget(const SharedMemoryOptions& options);

  // Of one region, until it goes.
  struct Share {
    Charge bytes;
    Charge region;
  };

  // QUOTA_SHARED_MEMORY.
  absl::StatusOr<Share> Take(std::string_view tenant, std::int64_t byte_size);

  std::int64_t bytes() const { return static_cast<std::int64_t>(bytes_.held()); }

 private:
  Quota bytes_;
  Quota regions_;
};

// The folder for the files of one user's servers. It stays open, and files are named relative to
// it, so that nobody can put another folder in its place.
class RegionFolder {
 public:
  // Opens `dropoutd-UID` in `directory`, an absolute path, and makes it, with mode 0700, if it is
  // not there. FAILED_PRECONDITION, without a reason, if it is not a folder of this user's alone.
  static absl::StatusOr<std::shared_ptr<const RegionFolder>> Open(const std::string& directory);
  ~RegionFolder();
  RegionFolder(const RegionFolder&) = delete;
  RegionFolder& operator=(const RegionFolder&) = delete;

  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }

  // Removes the files of regions whose server is gone. Nothing else is ever removed.
  void RemoveLeftRegions() const;

 private:
  RegionFolder(int descriptor, std::string path)
      : descriptor_(descriptor), path_(std::move(path)) {}

  const int descriptor_;
  const std::string path_;
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

  // Whether the file has all of its bytes at this moment, touched or not.
  bool IsWhole() const;

 private:
  friend class SharedMemory;
  SharedRegion(RegionBudget::Share share, std::shared_ptr<const RegionFolder> folder,
               std::string region_id, std::int64_t byte_size);

  // The steps of making one; each may fail.
  absl::Status MakeFile();
  absl::Status Map();

  const RegionBudget::Share share_;
  const std::shared_ptr<const RegionFolder> folder_;
  const std::string region_id_;
  const std::string path_;
  const std::int64_t byte_size_;
  int file_ = -1;  // Kept open: its lock says that the region's server lives.
  std::byte* data_ = nullptr;
  std::unique_ptr<FaultGuard> guard_;
};

using SharedRegionRef = std::shared_ptr<const SharedRegion>;

// Makes regions in a RegionFolder of options.directory. Thread-safe.
class SharedMemory {
 public:
  // Removes the files that servers of this user left in the folder when they were killed.
  // FAILED_PRECONDITION, without a reason, if the folder cannot be used.
  static absl::StatusOr<std::unique_ptr<SharedMemory>> Open(const SharedMemoryOptions& options);

  // A region of the tenant's, of `byte_size` zeros in a file of mode 0600 that is named
  // `region_id`, which must be 128 random bits as 32 lower-case hexadecimal digits. Its memory is
  // taken at once, so that later there is enough. INVALID_REQUEST for a size below 1,
  // QUOTA_SHARED_MEMORY.
  absl::StatusOr<SharedRegionRef> Create(std::string_view tenant, std::string region_id,
                                         std::int64_t byte_size);

  const RegionBudget& budget() const { return budget_; }
  const SharedMemoryOptions& options() const { return options_; }

 private:
  SharedMemory(const SharedMemoryOptions& options, std::shared_ptr<const RegionFolder> folder);

  // The folder, which is made anew if it was removed.
  absl::StatusOr<std::shared_ptr<const RegionFolder>> Folder();

  const SharedMemoryOptions options_;
  RegionBudget budget_;
  std::mutex mutex_;
  std::shared_ptr<const RegionFolder> folder_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MEMORY_SHARED_MEMORY_H_
