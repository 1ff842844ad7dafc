// Regions of shared memory, which sessions own.
#include <string>

#include "server/base/error.h"
#include "server/base/random_id.h"
#include "server/base/status_macros.h"
#include "server/engine/engine.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

absl::Status CheckIsOn(const SharedMemory* memory) {
  if (memory != nullptr) return absl::OkStatus();
  return MakeError(Reason::kRpcUnsupported, "shared memory is not switched on at this server");
}

}  // namespace

absl::StatusOr<SharedRegionRef> Engine::CreateSharedMemory(std::string_view session_id,
                                                           std::int64_t byte_size) {
  DROPOUTD_RETURN_IF_ERROR(CheckIsOn(shared_memory_));
  DROPOUTD_ASSIGN_OR_RETURN(const FoundSession found, repository_->Find(session_id));
  DROPOUTD_ASSIGN_OR_RETURN(SharedRegionRef region,
                            shared_memory_->Create(TenantOf(session_id), RandomId(), byte_size));
  DROPOUTD_RETURN_IF_ERROR(found.session->regions().Add(region, limits_.max_regions_per_session));
  return region;
}

absl::StatusOr<SharedRegionRef> Engine::FindSharedMemory(std::string_view session_id,
                                                         std::string_view region_id) {
  DROPOUTD_RETURN_IF_ERROR(CheckIsOn(shared_memory_));
  DROPOUTD_ASSIGN_OR_RETURN(const FoundSession found, repository_->Find(session_id));
  return found.session->regions().Find(region_id);
}

absl::Status Engine::DeleteSharedMemory(std::string_view session_id, std::string_view region_id) {
  DROPOUTD_RETURN_IF_ERROR(CheckIsOn(shared_memory_));
  DROPOUTD_ASSIGN_OR_RETURN(const FoundSession found, repository_->Find(session_id));
  return found.session->regions().Remove(region_id);
}

}  // namespace dropoutd
