#include "server/base/error.h"

#include <array>
#include <cstddef>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace dropoutd {
namespace {

struct Entry {
  Reason reason;
  std::string_view name;
  absl::StatusCode code;
};

using Code = absl::StatusCode;

// In the order of the enum, so that a reason is its own index.
constexpr std::array kTable = {
    Entry{Reason::kInvalidLayer, "INVALID_LAYER", Code::kInvalidArgument},
    Entry{Reason::kInvalidTensor, "INVALID_TENSOR", Code::kInvalidArgument},
    Entry{Reason::kInvalidSession, "INVALID_SESSION", Code::kInvalidArgument},
    Entry{Reason::kInvalidRequest, "INVALID_REQUEST", Code::kInvalidArgument},
    Entry{Reason::kStepRequired, "STEP_REQUIRED", Code::kInvalidArgument},
    Entry{Reason::kSequenceRequired, "SEQUENCE_REQUIRED", Code::kInvalidArgument},
    Entry{Reason::kShapeMismatch, "SHAPE_MISMATCH", Code::kInvalidArgument},
    Entry{Reason::kParametersRequired, "PARAMETERS_REQUIRED", Code::kFailedPrecondition},
    Entry{Reason::kSessionNotFound, "SESSION_NOT_FOUND", Code::kNotFound},
    Entry{Reason::kLayerNotFound, "LAYER_NOT_FOUND", Code::kNotFound},
    Entry{Reason::kStepNotFound, "STEP_NOT_FOUND", Code::kNotFound},
    Entry{Reason::kRegionNotFound, "REGION_NOT_FOUND", Code::kNotFound},
    Entry{Reason::kSessionExists, "SESSION_EXISTS", Code::kAlreadyExists},
    Entry{Reason::kLayerExists, "LAYER_EXISTS", Code::kAlreadyExists},
    Entry{Reason::kQuotaSessions, "QUOTA_SESSIONS", Code::kResourceExhausted},
    Entry{Reason::kQuotaLayers, "QUOTA_LAYERS", Code::kResourceExhausted},
    Entry{Reason::kQuotaSteps, "QUOTA_STEPS", Code::kResourceExhausted},
    Entry{Reason::kQuotaMaskCache, "QUOTA_MASK_CACHE", Code::kResourceExhausted},
    Entry{Reason::kQuotaParameterBytes, "QUOTA_PARAMETER_BYTES", Code::kResourceExhausted},
    Entry{Reason::kQuotaBytesInFlight, "QUOTA_BYTES_IN_FLIGHT", Code::kResourceExhausted},
    Entry{Reason::kQuotaMessageBytes, "QUOTA_MESSAGE_BYTES", Code::kResourceExhausted},
    Entry{Reason::kQuotaCallRate, "QUOTA_CALL_RATE", Code::kResourceExhausted},
    Entry{Reason::kQuotaStreams, "QUOTA_STREAMS", Code::kResourceExhausted},
    Entry{Reason::kQuotaSharedMemory, "QUOTA_SHARED_MEMORY", Code::kResourceExhausted},
    Entry{Reason::kRegionBroken, "REGION_BROKEN", Code::kFailedPrecondition},
    Entry{Reason::kStoreUnavailable, "STORE_UNAVAILABLE", Code::kUnavailable},
    Entry{Reason::kStoreCorrupt, "STORE_CORRUPT", Code::kDataLoss},
    Entry{Reason::kStoreFormatNewer, "STORE_FORMAT_NEWER", Code::kFailedPrecondition},
    Entry{Reason::kDraining, "DRAINING", Code::kUnavailable},
    Entry{Reason::kUnauthenticated, "UNAUTHENTICATED", Code::kUnauthenticated},
    Entry{Reason::kVariantUnsupported, "VARIANT_UNSUPPORTED", Code::kUnimplemented},
    Entry{Reason::kRpcUnsupported, "RPC_UNSUPPORTED", Code::kUnimplemented},
    Entry{Reason::kCompressionUnsupported, "COMPRESSION_UNSUPPORTED", Code::kUnimplemented},
    Entry{Reason::kInternal, "INTERNAL", Code::kInternal},
};

constexpr bool InOrder() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].reason) != i) return false;
  }
  return kTable.size() == static_cast<std::size_t>(Reason::kInternal) + 1;
}
static_assert(InOrder());

constexpr char kPayloadUrl[] = "dropoutd/reason";

const Entry& EntryOf(Reason reason) { return kTable[static_cast<std::size_t>(reason)]; }

}  // namespace

std::string_view ReasonName(Reason reason) { return EntryOf(reason).name; }

absl::StatusCode CodeOf(Reason reason) { return EntryOf(reason).code; }

absl::Status MakeError(Reason reason, std::string_view message) {
  absl::Status status(CodeOf(reason), absl::string_view(message.data(), message.size()));
  const std::string_view name = ReasonName(reason);
  status.SetPayload(kPayloadUrl, absl::Cord(absl::string_view(name.data(), name.size())));
  return status;
}

std::optional<Reason> ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return std::nullopt;
  const std::string name(*payload);
  for (const Entry& entry : kTable) {
    if (entry.name == name) return entry.reason;
  }
  return std::nullopt;
}

}  // namespace dropoutd
