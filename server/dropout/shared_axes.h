// Structure of axis-wise noise: along which axes of a tensor a variant shares its draws.
#ifndef DROPOUTD_SERVER_DROPOUT_SHARED_AXES_H_
#define DROPOUTD_SERVER_DROPOUT_SHARED_AXES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/dropout/layer_config.h"

namespace dropoutd {

struct SharedAxes {
  unsigned bits = 0;    // Bit i: one draw serves all of axis i.
  int sample_axis = 0;  // Which axis counts samples. May be shared: one mask for all.
};

// The axes for a tensor of `rank`. INVALID_LAYER, naming the field, for an axis that such a
// tensor does not have, that is named twice, or that is the batch axis and may not be.
absl::StatusOr<SharedAxes> SharedAxesOf(const VariantOptions& options, int rank);

// `axis` counted from the first one. INVALID_LAYER, naming `field`, as above.
absl::StatusOr<int> ResolveAxis(const char* field, std::int32_t axis, int rank);

// The same for a channel axis, which may not be the batch axis.
absl::StatusOr<int> ResolveChannelAxis(const char* field, std::int32_t axis, int rank);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_SHARED_AXES_H_
