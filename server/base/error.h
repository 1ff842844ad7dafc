// Errors of the whole server: one closed set of reasons, one table that gives each
// its status code.
#ifndef DROPOUTD_SERVER_BASE_ERROR_H_
#define DROPOUTD_SERVER_BASE_ERROR_H_

#include <optional>
#include <string_view>

#include "absl/status/status.h"

namespace dropoutd {

enum class Reason {
  kInvalidLayer,
  kInvalidTensor,
  kInvalidSession,
  kInvalidRequest,
  kStepRequired,
  kSequenceRequired,
  kShapeMismatch,
  kParametersRequired,
  kSessionNotFound,
  kLayerNotFound,
  kStepNotFound,
  kRegionNotFound,
  kSessionExists,
  kLayerExists,
  kQuotaSessions,
  kQuotaLayers,
  kQuotaSteps,
  kQuotaMaskCache,
  kQuotaParameterBytes,
  kQuotaBytesInFlight,
  kQuotaMessageBytes,
  kQuotaCallRate,
  kQuotaStreams,
  kQuotaSharedMemory,
  kRegionBroken,
  kStoreUnavailable,
  kStoreCorrupt,
  kStoreFormatNewer,
  kDraining,
  kUnauthenticated,
  kVariantUnsupported,
  kRpcUnsupported,
  kCompressionUnsupported,
  kInternal,
};

// The reason's name on the wire, for example "INVALID_LAYER".
std::string_view ReasonName(Reason reason);

absl::StatusCode CodeOf(Reason reason);

// A status with the reason's code and the reason attached. `message` names the field,
// the value and the range allowed, and no path, address or other tenant's name.
absl::Status MakeError(Reason reason, std::string_view message);

// The reason that MakeError attached, if it made `status`.
std::optional<Reason> ReasonOf(const absl::Status& status);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_ERROR_H_
