// Shared memory regions as the client sees them: mapped files.
#ifndef DROPOUTD_CLIENT_SHARED_REGIONS_H_
#define DROPOUTD_CLIENT_SHARED_REGIONS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dropout/types.h"

namespace dropout {

// A region's file in this process's memory. Unmapped at the end; the region itself is the
// server's. Immutable, and thread-safe as far as its bytes go.
class MappedRegion {
 public:
  // FAILED_PRECONDITION if the file cannot be mapped: the server is on another host, or
  // another user's.
  static absl::StatusOr<std::shared_ptr<MappedRegion>> Map(const std::string& session_id,
                                                           const SharedMemory& region);
  ~MappedRegion();
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;

  const std::string& session_id() const { return session_id_; }
  const std::string& region_id() const { return region_id_; }
  char* data() const { return data_; }
  std::size_t size() const { return size_; }

  // Where in the region `data` is, if all of it is.
  std::optional<std::size_t> OffsetOf(const void* data, std::size_t size) const;

 private:
  MappedRegion(const std::string& session_id, const std::string& region_id, char* data,
               std::size_t size);

  const std::string session_id_;
  const std::string region_id_;
  char* const data_;
  const std::size_t size_;
};

// The regions of a client: those that its user holds, and idle ones of its own that carry
// tensors from elsewhere. Thread-safe.
class SharedRegions {
 public:
  using Create = std::function<absl::StatusOr<SharedMemory>(const std::string& session_id,
                                                            std::int64_t byte_size)>;
  using Delete = std::function<void(const MappedRegion& region)>;

  SharedRegions(Create create, Delete remove);

  // A region of its user's own.
  absl::StatusOr<std::shared_ptr<MappedRegion>> MakeForUser(const std::string& session_id,
                                                            std::size_t byte_size);

  // The user's region of the session that has all of `data`, and where in it.
  struct Found {
    std::shared_ptr<MappedRegion> region;
    std::size_t offset = 0;
  };
  std::optional<Found> Find(const std::string& session_id, const void* data, std::size_t size);

  // A region of `byte_size` or more that nobody else uses until it is given back.
  absl::StatusOr<std::shared_ptr<MappedRegion>> Take(const std::string& session_id,
                                                     std::size_t byte_size);
  void Return(std::shared_ptr<MappedRegion> region);

  // Forgets the idle regions of a session that has ended.
  void Forget(const std::string& session_id);

 private:
  const Create create_;
  const Delete delete_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<MappedRegion>> users_;
  std::vector<std::shared_ptr<MappedRegion>> idle_;  // Used last is last.
};

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_SHARED_REGIONS_H_
