// Masks of recent steps.
#ifndef DROPOUTD_SERVER_SESSION_MASK_CACHE_H_
#define DROPOUTD_SERVER_SESSION_MASK_CACHE_H_

#include <cstddef>

#include "absl/status/status.h"
#include "server/dropout/packed_bits.h"
#include "server/session/step_cache.h"

namespace dropoutd {

// Masks of counter-based generators, which can be made again. Masks of sequential generators live
// in their steps' records and only reserve their bytes here, so that both kinds stay within one
// budget. Thread-safe.
class MaskCache : public StepCache<PackedBits> {
 public:
  using StepCache::StepCache;

  // As StepCache's; QUOTA_MASK_CACHE if it does not fit.
  absl::Status Reserve(std::size_t byte_size);
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_MASK_CACHE_H_
