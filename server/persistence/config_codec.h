// A layer's configuration as a message.
#ifndef DROPOUTD_SERVER_PERSISTENCE_CONFIG_CODEC_H_
#define DROPOUTD_SERVER_PERSISTENCE_CONFIG_CODEC_H_

#include "absl/status/statusor.h"
#include "server/dropout/layer_config.h"
#include "server/persistence/stored.pb.h"  // Generated.

namespace dropoutd {

namespace stored = dropout::stored;

// Sets all but the layer_id. What `stored` has besides, at every level that stays, is kept.
void PutConfig(const LayerConfig& config, stored::StoredConfig& stored);

// The configuration, its layer_id too, which may lie outside the ranges of Validate. STORE_CORRUPT
// for one without a variant; STORE_FORMAT_NEWER for values that a later version must have written.
absl::StatusOr<LayerConfig> ConfigOf(const stored::StoredConfig& stored);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_CONFIG_CODEC_H_
