#include "server/base/error.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

namespace dropoutd {
namespace {

using Code = absl::StatusCode;

struct Row {
  Reason reason;
  std::string_view name;
  Code code;
};

// The contract's table: clients match on names and codes, so that neither may change.
constexpr Row kRows[] = {
    {Reason::kInvalidLayer, "INVALID_LAYER", Code::kInvalidArgument},
    {Reason::kInvalidTensor, "INVALID_TENSOR", Code::kInvalidArgument},
    {Reason::kInvalidSession, "INVALID_SESSION", Code::kInvalidArgument},
    {Reason::kInvalidRequest, "INVALID_REQUEST", Code::kInvalidArgument},
    {Reason::kStepRequired, "STEP_REQUIRED", Code::kInvalidArgument},
    {Reason::kSequenceRequired, "SEQUENCE_REQUIRED", Code::kInvalidArgument},
    {Reason::kShapeMismatch, "SHAPE_MISMATCH", Code::kInvalidArgument},
    {Reason::kParametersRequired, "PARAMETERS_REQUIRED", Code::kFailedPrecondition},
    {Reason::kSessionNotFound, "SESSION_NOT_FOUND", Code::kNotFound},
    {Reason::kLayerNotFound, "LAYER_NOT_FOUND", Code::kNotFound},
    {Reason::kStepNotFound, "STEP_NOT_FOUND", Code::kNotFound},
    {Reason::kRegionNotFound, "REGION_NOT_FOUND", Code::kNotFound},
    {Reason::kSessionExists, "SESSION_EXISTS", Code::kAlreadyExists},
    {Reason::kLayerExists, "LAYER_EXISTS", Code::kAlreadyExists},
    {Reason::kQuotaSessions, "QUOTA_SESSIONS", Code::kResourceExhausted},
    {Reason::kQuotaLayers, "QUOTA_LAYERS", Code::kResourceExhausted},
    {Reason::kQuotaSteps, "QUOTA_STEPS", Code::kResourceExhausted},
    {Reason::kQuotaMaskCache, "QUOTA_MASK_CACHE", Code::kResourceExhausted},
    {Reason::kQuotaParameterBytes, "QUOTA_PARAMETER_BYTES", Code::kResourceExhausted},
    {Reason::kQuotaBytesInFlight, "QUOTA_BYTES_IN_FLIGHT", Code::kResourceExhausted},
    {Reason::kQuotaMessageBytes, "QUOTA_MESSAGE_BYTES", Code::kResourceExhausted},
    {Reason::kQuotaCallRate, "QUOTA_CALL_RATE", Code::kResourceExhausted},
    {Reason::kQuotaStreams, "QUOTA_STREAMS", Code::kResourceExhausted},
    {Reason::kQuotaSharedMemory, "QUOTA_SHARED_MEMORY", Code::kResourceExhausted},
    {Reason::kRegionBroken, "REGION_BROKEN", Code::kFailedPrecondition},
    {Reason::kStoreUnavailable, "STORE_UNAVAILABLE", Code::kUnavailable},
    {Reason::kStoreCorrupt, "STORE_CORRUPT", Code::kDataLoss},
    {Reason::kStoreFormatNewer, "STORE_FORMAT_NEWER", Code::kFailedPrecondition},
    {Reason::kDraining, "DRAINING", Code::kUnavailable},
    {Reason::kUnauthenticated, "UNAUTHENTICATED", Code::kUnauthenticated},
    {Reason::kVariantUnsupported, "VARIANT_UNSUPPORTED", Code::kUnimplemented},
    {Reason::kRpcUnsupported, "RPC_UNSUPPORTED", Code::kUnimplemented},
    {Reason::kCompressionUnsupported, "COMPRESSION_UNSUPPORTED", Code::kUnimplemented},
    {Reason::kInternal, "INTERNAL", Code::kInternal},
};

TEST(Error, TableIsTheContracts) {
  for (const Row& row : kRows) {
    EXPECT_EQ(ReasonName(row.reason), row.name);
    EXPECT_EQ(CodeOf(row.reason), row.code) << row.name;
  }
}

TEST(Error, EveryReasonIsListedOnce) {
  std::set<Reason> reasons;
  std::set<std::string_view> names;
  for (const Row& row : kRows) {
    reasons.insert(row.reason);
    names.insert(row.name);
  }
  EXPECT_EQ(reasons.size(), std::size(kRows));
  EXPECT_EQ(names.size(), std::size(kRows));
  // kInternal is the enum's last.
  EXPECT_EQ(reasons.size(), static_cast<std::size_t>(Reason::kInternal) + 1);
}

TEST(Error, StatusCarriesCodeMessageAndReason) {
  for (const Row& row : kRows) {
    const absl::Status status = MakeError(row.reason, "p: 2, must be in [0, 1)");
    EXPECT_EQ(status.code(), row.code) << row.name;
    EXPECT_EQ(status.message(), "p: 2, must be in [0, 1)");
    EXPECT_EQ(ReasonOf(status), row.reason) << row.name;
    const absl::Status copy = status;
    EXPECT_EQ(ReasonOf(copy), row.reason) << row.name;
  }
}

TEST(Error, StatusesThatOthersMadeHaveNoReason) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(ReasonOf(absl::InvalidArgumentError("INVALID_LAYER")), std::nullopt);
  EXPECT_EQ(ReasonOf(absl::InternalError("")), std::nullopt);
}

TEST(Error, UnknownReasonIsNone) {
  absl::Status status = MakeError(Reason::kInvalidLayer, "");
  status.ForEachPayload([&](absl::string_view url, const absl::Cord&) {
    absl::Status other = absl::InvalidArgumentError("");
    other.SetPayload(url, absl::Cord("INVALID_LAYE"));
    EXPECT_EQ(ReasonOf(other), std::nullopt);
    other.SetPayload(url, absl::Cord("INVALID_LAYER"));
    EXPECT_EQ(ReasonOf(other), Reason::kInvalidLayer);
  });
}

TEST(Error, MessageMayBeEmptyOrHoldZeroBytes) {
  EXPECT_EQ(MakeError(Reason::kDraining, "").message(), "");
  const std::string_view with_zero("a\0b", 3);
  EXPECT_EQ(MakeError(Reason::kDraining, with_zero).message().size(), 3u);
}

}  // namespace
}  // namespace dropoutd
