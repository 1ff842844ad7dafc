// Masks of recent steps.
#ifndef DROPOUTD_SERVER_SESSION_MASK_CACHE_H_
#define DROPOUTD_SERVER_SESSION_MASK_CACHE_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "server/dropout/packed_bits.h"
#include "server/session/step_cache.h"

namespace dropoutd {

// Masks of counter-based generators, which can be made again. Masks of sequential generators live
// in their steps' records and only reserve their bytes here, so that both kinds stay within one
// budget. Thread-safe.
class MaskCache : public StepCache<PackedBits> {
 public:
  using StepCache::StepCache;

  // Takes what a mask of `byte_size` bytes, kept elsewhere, costs off the budget, evicting as
  // needed. QUOTA_MASK_CACHE, with nothing changed, if it does not fit beside the reservations.
  absl::StatusOr<Reservation> Reserve(const AccountRef& account, std::size_t byte_size);
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_MASK_CACHE_H_
