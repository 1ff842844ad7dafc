// Tensors in memory that a server on the same host shares.
#ifndef DROPOUTD_CLIENT_SHARED_CALL_H_
#define DROPOUTD_CLIENT_SHARED_CALL_H_

#include "absl/status/statusor.h"
#include "client/shared_regions.h"
#include "client/step_call.h"

namespace dropout {

// Passes tensors that lie in the user's regions as they are, and others through a region of
// the library's own. Thread-safe.
absl::StatusOr<StepAnswer> CallShared(Connection& connection, SharedRegions& regions,
                                      const StepCall& call, TimeLeft time_left);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_SHARED_CALL_H_
