// Regions of shared memory, which sessions own.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/base/status_macros.h"
#include "server/session/engine.h"
#include "server/session/random_id.h"

namespace dropoutd {
namespace {

absl::Status CheckIsOn(const SharedMemory* memory) {
  if (memory != nullptr) return absl::OkStatus();
  return MakeError(Reason::kRpcUnsupported, "shared memory is not switched on at this server");
}

absl::Status RegionNotFound(std::string_view region_id) {
  return MakeError(Reason::kRegionNotFound,
                   absl::StrCat("region_id: the session has no region ", Quote(region_id)));
}

}  // namespace

absl::StatusOr<SharedRegionRef> Engine::CreateSharedMemory(std::string_view session_id,
                                                           std::int64_t byte_size) {
  DROPOUTD_RETURN_IF_ERROR(CheckIsOn(shared_memory_));
  DROPOUTD_ASSIGN_OR_RETURN(const auto session, keeper_.Find(session_id));
  DROPOUTD_ASSIGN_OR_RETURN(SharedRegionRef region, shared_memory_->Create(RandomId(), byte_size));
  DROPOUTD_RETURN_IF_ERROR(session->AddRegion(region, limits_.max_regions_per_session));
  return region;
}

absl::StatusOr<SharedRegionRef> Engine::FindSharedMemory(std::string_view session_id,
                                                         std::string_view region_id) {
  DROPOUTD_RETURN_IF_ERROR(CheckIsOn(shared_memory_));
  DROPOUTD_ASSIGN_OR_RETURN(const auto session, keeper_.Find(session_id));
  return session->FindRegion(region_id);
}

absl::Status Engine::DeleteSharedMemory(std::string_view session_id, std::string_view region_id) {
  DROPOUTD_RETURN_IF_ERROR(CheckIsOn(shared_memory_));
  DROPOUTD_ASSIGN_OR_RETURN(const auto session, keeper_.Find(session_id));
  return session->RemoveRegion(region_id);
}

absl::Status Session::AddRegion(SharedRegionRef region, std::size_t max_regions) {
  const std::lock_guard lock(mutex_);
  // Deleted meanwhile: then nobody would take the region away.
  if (ended_) {
    return MakeError(Reason::kSessionNotFound, "session_id: the session was deleted meanwhile");
  }
  if (regions_.size() >= max_regions) {
    return MakeError(Reason::kQuotaSharedMemory,
                     absl::StrCat("the session has ", regions_.size(),
                                  " regions, the most allowed is ", max_regions));
  }
  std::string region_id = region->region_id();
  regions_.emplace(std::move(region_id), std::move(region));
  return absl::OkStatus();
}

absl::StatusOr<SharedRegionRef> Session::FindRegion(std::string_view region_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = regions_.find(region_id);
  if (found == regions_.end()) return RegionNotFound(region_id);
  return found->second;
}

absl::Status Session::RemoveRegion(std::string_view region_id) {
  SharedRegionRef removed;  // Goes after the lock: it may be long in going.
  const std::lock_guard lock(mutex_);
  const auto found = regions_.find(region_id);
  if (found == regions_.end()) return RegionNotFound(region_id);
  removed = std::move(found->second);
  regions_.erase(found);
  return absl::OkStatus();
}

void Session::End() {
  std::map<std::string, SharedRegionRef, std::less<>> removed;
  const std::lock_guard lock(mutex_);
  ended_ = true;
  removed.swap(regions_);
}

}  // namespace dropoutd
