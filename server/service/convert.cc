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

absl::Status InvalidLayer(std::string_view message) {
  return MakeError(Reason::kInvalidLayer, message);
}

absl::StatusOr<Generator> ConvertGenerator(v1::Generator generator) {
  switch (generator) {
    case v1::GENERATOR_UNSPECIFIED:
    case v1::GENERATOR_PHILOX:
      return Generator::kPhilox;
    case v1::GENERATOR_NUMPY_LEGACY:
      return Generator::kNumpyLegacy;
    default:
      return InvalidLayer(absl::StrCat("generator: ", static_cast<int>(generator),
                                       ", must be one of the enum's values"));
  }
}

absl::StatusOr<Scaling> ConvertScaling(v1::Scaling scaling) {
  switch (scaling) {
    case v1::SCALING_UNSPECIFIED:
    case v1::SCALING_INVERTED:
      return Scaling::kInverted;
    case v1::SCALING_NONE:
      return Scaling::kNone;
    case v1::SCALING_EVAL:
      return Scaling::kEval;
    default:
      return InvalidLayer(absl::StrCat("scaling: ", static_cast<int>(scaling),
                                       ", must be one of the enum's values"));
  }
}

// Name, as in the proto, of the alternative of `oneof` that is set.
std::string NameOfSet(const google::protobuf::Message& message, const char* oneof) {
  const auto* const descriptor = message.GetDescriptor()->FindOneofByName(oneof);
  return message.GetReflection()->GetOneofFieldDescriptor(message, descriptor)->name();
}

absl::StatusOr<VariantOptions> ConvertVariant(const v1::Layer& layer) {
  switch (layer.variant_case()) {
    case v1::Layer::kDropout: {
      const auto& axes = layer.dropout().broadcast_axes();
      return DropoutOptions{{axes.begin(), axes.end()}};
    }
    case v1::Layer::VARIANT_NOT_SET:
      return InvalidLayer("variant: not set, must be one of the oneof's fields");
    default:
      return MakeError(Reason::kVariantUnsupported,
                       absl::StrCat("variant: ", NameOfSet(layer, "variant"),
                                    " is not built; GetServerInfo lists what is"));
  }
}

absl::StatusOr<DataType> ConvertDataType(v1::DataType dtype, absl::string_view field) {
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
                       absl::StrCat(field, ".dtype: ", static_cast<int>(dtype),
                                    ", must be FLOAT32, FLOAT64, FLOAT16 or BFLOAT16"));
  }
}

v1::Generator ToProto(Generator generator) {
  return generator == Generator::kPhilox ? v1::GENERATOR_PHILOX : v1::GENERATOR_NUMPY_LEGACY;
}

v1::Scaling ToProto(Scaling scaling) {
  switch (scaling) {
    case Scaling::kInverted:
      return v1::SCALING_INVERTED;
    case Scaling::kNone:
      return v1::SCALING_NONE;
    case Scaling::kEval:
      break;
  }
  return v1::SCALING_EVAL;
}

void SetOptions(const DropoutOptions& options, v1::Layer& layer) {
  layer.mutable_dropout()->mutable_broadcast_axes()->Assign(options.broadcast_axes.begin(),
                                                            options.broadcast_axes.end());
}

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

absl::StatusOr<Mode> FromProto(v1::Mode mode, Reason reason, absl::string_view field) {
  if (mode == v1::MODE_TRAIN) return Mode::kTrain;
  if (mode == v1::MODE_EVAL) return Mode::kEval;
  return MakeError(
      reason, absl::StrCat(field, ": ", static_cast<int>(mode), ", must be TRAIN (1) or EVAL (2)"));
}

absl::StatusOr<LayerConfig> FromProto(const v1::Layer& layer) {
  LayerConfig config;
  config.layer_id = layer.layer_id();
  if (layer.mode() != v1::MODE_UNSPECIFIED) {
    DROPOUTD_ASSIGN_OR_RETURN(config.mode, FromProto(layer.mode(), Reason::kInvalidLayer, "mode"));
  }
  config.p = layer.p();
  DROPOUTD_ASSIGN_OR_RETURN(config.generator, ConvertGenerator(layer.generator()));
  DROPOUTD_ASSIGN_OR_RETURN(config.scaling, ConvertScaling(layer.scaling()));
  if (layer.has_schedule()) {
    return MakeError(Reason::kVariantUnsupported,
                     "schedule: schedules are not built; GetServerInfo lists what is");
  }
  DROPOUTD_ASSIGN_OR_RETURN(config.options, ConvertVariant(layer));
  return config;
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

v1::Mode ToProto(Mode mode) { return mode == Mode::kTrain ? v1::MODE_TRAIN : v1::MODE_EVAL; }

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

v1::Layer ToProto(const LayerView& view) {
  const LayerConfig& config = *view.config;
  v1::Layer layer;
  layer.set_layer_id(config.layer_id);
  layer.set_mode(ToProto(view.mode));
  layer.set_revision(view.revision);
  layer.set_p(config.p);
  layer.set_generator(ToProto(config.generator));
  layer.set_scaling(ToProto(config.scaling));
  std::visit([&](const auto& options) { SetOptions(options, layer); }, config.options);
  return layer;
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
  mask.mutable_shape()->Assign(view.shape.sizes().begin(), view.shape.sizes().end());
  mask.set_scale(view.scale);
  mask.set_bits(std::string(view.bits->bytes()));
  return mask;
}

google::protobuf::Duration ToProto(Nanoseconds duration) {
  return TimeUtil::NanosecondsToDuration(duration.count());
}

}  // namespace dropoutd
