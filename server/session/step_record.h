// A step of a layer: what names it, and what its Forward did.
#ifndef DROPOUTD_SERVER_SESSION_STEP_RECORD_H_
#define DROPOUTD_SERVER_SESSION_STEP_RECORD_H_

#include <compare>
#include <cstdint>
#include <memory>

#include "server/base/token.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/packed_bits.h"
#include "server/dropout/plan.h"
#include "server/dropout/shape.h"
#include "server/session/mask_cache.h"
#include "server/session/retained_input.h"
#include "server/session/session_image.h"

namespace dropoutd {

struct StepKey {
  std::uint64_t step = 0;
  std::int64_t sample_offset = 0;
  std::uint64_t sequence_id = 0;  // 0 where the layer is keyed by step.

  friend auto operator<=>(const StepKey&, const StepKey&) = default;
};

// What was in force at a step's Forward. Together with the session's seed it gives the
// mask of a counter-based generator again. Immutable once shared; what is in its entries may come
// and go. Move-only. The caches must outlive it.
struct StepRecord {
  SharedConfig config;
  std::uint64_t revision = 1;  // Of the configuration.
  Mode mode = Mode::kTrain;
  DropRate rate;
  Shape shape;                               // Of the input.
  MaskCache::Entry mask;                     // No place: the step has no bits.
  InputCache::Entry input;                   // No place: its gradient needs no input.
  std::shared_ptr<const PackedBits> pinned;  // Of a sequential generator: the only ones there are.
  Token token;                               // Of the change that wrote it; none without a store.
};
using SharedRecord = std::shared_ptr<const StepRecord>;

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STEP_RECORD_H_
