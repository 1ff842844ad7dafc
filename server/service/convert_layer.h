// Layers between messages and the server's own types.
#ifndef DROPOUTD_SERVER_SERVICE_CONVERT_LAYER_H_
#define DROPOUTD_SERVER_SERVICE_CONVERT_LAYER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dropout/v1/layer.pb.h"
#include "server/base/error.h"
#include "server/session/session_view.h"

namespace dropoutd {

// INVALID_LAYER. Does not validate ranges: the session does.
absl::StatusOr<LayerConfig> FromProto(const dropout::v1::Layer& layer);

// TRAIN or EVAL; anything else is `reason`, naming `field`.
absl::StatusOr<Mode> FromProto(dropout::v1::Mode mode, Reason reason, absl::string_view field);

dropout::v1::Mode ToProto(Mode mode);
dropout::v1::Layer ToProto(const LayerView& layer);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_CONVERT_LAYER_H_
