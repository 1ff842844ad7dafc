// Reads format 1 of stores and exports, which no server writes any more.
#ifndef DROPOUTD_SERVER_PERSISTENCE_FORMAT1_FORMAT1_H_
#define DROPOUTD_SERVER_PERSISTENCE_FORMAT1_FORMAT1_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/token.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/parameters.h"
#include "server/persistence/step_codec.h"
#include "server/session/session_image.h"
#include "server/store/store.h"

namespace dropoutd::format1 {

// Pure functions; STORE_CORRUPT for bytes that no server can have made. What is not said here is
// checked as for format 2, by the caller. A format's reader passes over bytes at the end.

// The document. `incarnation`: as DecodeSession's.
absl::StatusOr<SessionImage> ReadSession(std::string_view bytes, Token incarnation);

// The value of a ConfigField.
absl::StatusOr<LayerConfig> ReadConfig(std::string_view bytes);

// The values of fields. The step's payload lies in `bytes`.
absl::StatusOr<DecodedStep> ReadStep(std::string_view bytes);
absl::StatusOr<Parameters> ReadParameters(std::string_view bytes);

// What an export has between its line and its checksum, and behind its format's number.
struct Export {
  Token id;
  std::string document;
  std::vector<StoreField> fields;
};
absl::StatusOr<Export> ReadExport(std::string_view bytes);

}  // namespace dropoutd::format1

#endif  // DROPOUTD_SERVER_PERSISTENCE_FORMAT1_FORMAT1_H_
