// The regions of shared memory that a session owns.
#ifndef DROPOUTD_SERVER_SESSION_REGIONS_H_
#define DROPOUTD_SERVER_SESSION_REGIONS_H_

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/memory/shared_memory.h"

namespace dropoutd {

// Thread-safe.
class Regions {
 public:
  // QUOTA_SHARED_MEMORY if there are `most` already; SESSION_NOT_FOUND after End.
  absl::Status Add(SharedRegionRef region, std::size_t most);

  // REGION_NOT_FOUND.
  absl::StatusOr<SharedRegionRef> Find(std::string_view region_id) const;
  absl::Status Remove(std::string_view region_id);

  bool empty() const;

  // The session has gone: calls that hold it go on, but nobody would take a new region away.
  void End();

 private:
  using Map = std::map<std::string, SharedRegionRef, std::less<>>;

  mutable std::mutex mutex_;
  Map regions_;
  bool ended_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_REGIONS_H_
