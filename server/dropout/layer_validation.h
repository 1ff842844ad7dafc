// Which layers make sense.
#ifndef DROPOUTD_SERVER_DROPOUT_LAYER_VALIDATION_H_
#define DROPOUTD_SERVER_DROPOUT_LAYER_VALIDATION_H_

#include "absl/status/status.h"
#include "server/dropout/layer_config.h"

namespace dropoutd {

// INVALID_LAYER, naming the field, the value and the range, unless every field is in its
// range and the fields go together.
absl::Status Validate(const LayerConfig& config);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_LAYER_VALIDATION_H_
