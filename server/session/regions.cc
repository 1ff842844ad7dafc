#include "server/session/regions.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/session/quota_terms.h"

namespace dropoutd {
namespace {

absl::Status RegionNotFound(std::string_view region_id) {
  return MakeError(Reason::kRegionNotFound,
                   absl::StrCat("region_id: the session has no region ", Quote(region_id)));
}

}  // namespace

absl::Status Regions::Add(SharedRegionRef region, std::size_t most) {
  const std::lock_guard lock(mutex_);
  if (ended_) {
    return MakeError(Reason::kSessionNotFound, "session_id: the session was deleted meanwhile");
  }
  if (regions_.size() >= most) {
    return QuotaError(SessionRegionTerms(most), QuotaLimit::kTenant, 1, regions_.size());
  }
  std::string region_id = region->region_id();
  regions_.emplace(std::move(region_id), std::move(region));
  return absl::OkStatus();
}

absl::StatusOr<SharedRegionRef> Regions::Find(std::string_view region_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = regions_.find(region_id);
  if (found == regions_.end()) return RegionNotFound(region_id);
  return found->second;
}

absl::Status Regions::Remove(std::string_view region_id) {
  SharedRegionRef removed;  // Goes after the lock: it may be long in going.
  const std::lock_guard lock(mutex_);
  const auto found = regions_.find(region_id);
  if (found == regions_.end()) return RegionNotFound(region_id);
  removed = std::move(found->second);
  regions_.erase(found);
  return absl::OkStatus();
}

bool Regions::empty() const {
  const std::lock_guard lock(mutex_);
  return regions_.empty();
}

void Regions::End() {
  Map removed;  // Goes after the lock.
  const std::lock_guard lock(mutex_);
  ended_ = true;
  removed.swap(regions_);
}

}  // namespace dropoutd
