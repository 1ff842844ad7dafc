#include "server/service/convert.h"

#include <google/protobuf/util/time_util.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "server/base/checked_math.h"
#include "server/base/status_macros.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;
using google::protobuf::util::TimeUtil;

// Whether nanoseconds in 64 bits can be made of it: seconds far above any limit and far
// below what these hold, nanos as google.protobuf.Duration allows, seconds and nanos of one sign.
bool IsValidDuration(const google::protobuf::Duration& duration) {
  constexpr std::int64_t kMaxSeconds = 4'000'000'000;
  constexpr std::int32_t kMaxNanos = 999'999'999;
  const std::int64_t seconds = duration.seconds();
  const std::int32_t nanos = duration.nanos();
  const bool mixed = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
  return !mixed && std::abs(seconds / 2) <= kMaxSeconds / 2 && nanos <= kMaxNanos &&
         nanos >= -kMaxNanos;
}

google::protobuf::Timestamp ToProto(WallTime time) {
  return TimeUtil::NanosecondsToTimestamp(
      std::chrono::duration_cast<Nanoseconds>(time.time_since_epoch()).count());
}

}  // namespace

absl::StatusOr<DataType> ConvertDataType(int dtype, absl::string_view field) {
  switch (dtype) {
    case v1::DATA_TYPE_FLOAT32:
      return DataType::kFloat32;
    case v1::DATA_TYPE_FLOAT64:
      return DataType::kFloat64;
    case v1::DATA_TYPE_FLOAT16:
      return DataType::kFloat16;
    case v1::DATA_TYPE_BFLOAT16:
      return DataType::kBFloat16;
    default:
      return MakeError(Reason::kInvalidTensor,
                       absl::StrCat(field, ".dtype: ", dtype,
                                    ", must be FLOAT32, FLOAT64, FLOAT16 or BFLOAT16"));
  }
}

absl::StatusOr<SessionSpec> FromProto(const v1::CreateSessionRequest& request) {
  SessionSpec spec;
  spec.session_id = request.session_id();
  if (request.has_seed()) spec.seed = request.seed();
  if (request.mode() != v1::MODE_UNSPECIFIED) {
    DROPOUTD_ASSIGN_OR_RETURN(spec.mode,
                              FromProto(request.mode(), Reason::kInvalidSession, "mode"));
  }
  if (request.has_ttl()) {
    if (!IsValidDuration(request.ttl())) {
      return MakeError(Reason::kInvalidSession,
                       absl::StrCat("ttl: ", request.ttl().seconds(), " s ", request.ttl().nanos(),
                                    " ns, must be a valid duration within the server's limit"));
    }
    spec.ttl = Nanoseconds(TimeUtil::DurationToNanoseconds(request.ttl()));
  }
  spec.layers.reserve(static_cast<std::size_t>(request.layers_size()));
  for (const v1::Layer& layer : request.layers()) {
    DROPOUTD_ASSIGN_OR_RETURN(LayerConfig config, FromProto(layer));
    spec.layers.push_back(std::move(config));
  }
  return spec;
}

absl::StatusOr<TensorRef> FromProto(const v1::Tensor& tensor, absl::string_view field) {
  DROPOUTD_ASSIGN_OR_RETURN(const DataType dtype, ConvertDataType(tensor.dtype(), field));
  DROPOUTD_ASSIGN_OR_RETURN(
      const Shape shape,
      Shape::Make({tensor.shape().data(), static_cast<std::size_t>(tensor.shape_size())}));
  if (tensor.has_shared_memory()) {
    return MakeError(Reason::kRpcUnsupported,
                     absl::StrCat(field, ".shared_memory: shared memory is not built"));
  }
  const auto byte_size = CheckedMultiply(shape.ElementCount(), ElementSize(dtype));
  if (!byte_size.has_value() || static_cast<std::size_t>(*byte_size) != tensor.data().size()) {
    return MakeError(
        Reason::kInvalidTensor,
        absl::StrCat(field, ".data: ", tensor.data().size(), " bytes, shape ", shape.ToString(),
                     " of ", ElementSize(dtype), "-byte elements needs ",
                     byte_size.has_value() ? absl::StrCat(*byte_size) : std::string("over 2^63")));
  }
  return TensorRef{dtype, shape, tensor.data().data()};
}

absl::StatusOr<Parameter> FromProto(const v1::Parameter& message) {
  DROPOUTD_ASSIGN_OR_RETURN(const TensorRef value, FromProto(message.value(), "parameters.value"));
  const auto* const data = reinterpret_cast<const std::byte*>(message.value().data().data());
  return Parameter{
      message.name(), value.dtype, value.shape, {data, data + message.value().data().size()}};
}

v1::DataType ToProto(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return v1::DATA_TYPE_FLOAT32;
    case DataType::kFloat64:
      return v1::DATA_TYPE_FLOAT64;
    case DataType::kFloat16:
      return v1::DATA_TYPE_FLOAT16;
    case DataType::kBFloat16:
      break;
  }
  return v1::DATA_TYPE_BFLOAT16;
}

v1::Session ToProto(const SessionView& view) {
  v1::Session session;
  session.set_session_id(std::string(SessionIdOf(view.session_id)));
  session.set_seed(view.seed);
  session.set_mode(ToProto(view.mode));
  for (const LayerView& layer : view.layers) *session.add_layers() = ToProto(layer);
  *session.mutable_ttl() = ToProto(view.ttl);
  *session.mutable_create_time() = ToProto(view.create_time);
  *session.mutable_expire_time() = ToProto(view.expire_time);
  return session;
}

v1::Mask ToProto(const MaskView& view) {
  v1::Mask mask;
  mask.set_mode(ToProto(view.mode));
  mask.mutable_shape()->Assign(view.shape.sizes().begin(), view.shape.sizes().end());
  mask.set_scale(view.scale);
  mask.mutable_sample_scales()->Assign(view.sample_scales.begin(), view.sample_scales.end());
  if (view.bits != nullptr) {
    mask.set_bits(std::string(view.bits->bytes()));
    return mask;
  }
  v1::Tensor& multipliers = *mask.mutable_multipliers();
  multipliers.set_dtype(v1::DATA_TYPE_FLOAT64);
  *multipliers.mutable_shape() = mask.shape();
  multipliers.set_data(view.multipliers.data(), view.multipliers.size() * sizeof(double));
  return mask;
}

v1::Parameter ToProto(const Parameter& parameter) {
  v1::Parameter message;
  message.set_name(parameter.name);
  v1::Tensor& value = *message.mutable_value();
  value.set_dtype(ToProto(parameter.dtype));
  value.mutable_shape()->Assign(parameter.shape.sizes().begin(), parameter.shape.sizes().end());
  value.set_data(parameter.data.data(), parameter.data.size());
  return message;
}

google::protobuf::Duration ToProto(Nanoseconds duration) {
  return TimeUtil::NanosecondsToDuration(duration.count());
}

}  // namespace dropoutd
