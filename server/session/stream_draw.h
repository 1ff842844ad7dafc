// Masks of sequential generators.
#ifndef DROPOUTD_SERVER_SESSION_STREAM_DRAW_H_
#define DROPOUTD_SERVER_SESSION_STREAM_DRAW_H_

#include "absl/status/statusor.h"
#include "server/dropout/pass.h"
#include "server/dropout/plan.h"
#include "server/session/mask_cache.h"
#include "server/session/session_keeper.h"
#include "server/session/step_call.h"

namespace dropoutd {

// A step whose mask came from the stream.
struct StreamStep {
  Plan plan;
  SharedBits bits;
};

// The mask of a train Forward with a sequential generator: the step's own if it ran before with
// this shape, else drawn from the session's stream and recorded. `asked`: the step's key, as the
// call names it. QUOTA_MASK_CACHE, QUOTA_STEPS, the keeper's errors; an error has drawn nothing.
absl::StatusOr<StreamStep> TakeFromStream(Call& call, const StepKey& asked, const Shape& shape,
                                          MaskCache& cache, SessionKeeper& keeper);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STREAM_DRAW_H_
