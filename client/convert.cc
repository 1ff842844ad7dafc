#include "client/convert.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "client/convert_time.h"

namespace dropout {
namespace {

template <typename Value, typename Numbers>
std::vector<Value> Enumerators(const Numbers& numbers) {
  std::vector<Value> values;
  values.reserve(numbers.size());
  for (const int number : numbers) values.push_back(static_cast<Value>(number));
  return values;
}

void CopyLimits(const v1::Limits& limits, ServerInfo* info) {
  info->max_sessions = limits.max_sessions();
  info->max_layers_per_session = limits.max_layers_per_session();
  info->max_steps_per_layer = limits.max_steps_per_layer();
  info->max_steps = limits.max_steps();
  info->mask_cache_bytes = limits.mask_cache_bytes();
  info->max_message_bytes = limits.max_message_bytes();
  info->max_bytes_in_flight = limits.max_bytes_in_flight();
  info->default_ttl = FromProto(limits.default_ttl());
  info->max_ttl = FromProto(limits.max_ttl());
}

}  // namespace

void ToProto(const TensorView& tensor, v1::Tensor* message) {
  message->set_dtype(static_cast<v1::DataType>(tensor.dtype));
  message->mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
  message->set_data(tensor.data, tensor.byte_size);
}

void ToProto(const Parameter& parameter, v1::Parameter* message) {
  message->set_name(parameter.name);
  ToProto(parameter.value.View(), message->mutable_value());
}

void ToProto(const SessionOptions& options, v1::CreateSessionRequest* message) {
  message->set_session_id(options.session_id);
  if (options.seed.has_value()) message->set_seed(*options.seed);
  for (const Layer& layer : options.layers) ToProto(layer, message->add_layers());
  message->set_mode(static_cast<v1::Mode>(options.mode));
  if (options.ttl != std::chrono::nanoseconds::zero()) {
    ToProto(options.ttl, message->mutable_ttl());
  }
}

Tensor FromProto(v1::Tensor&& message) {
  Tensor tensor;
  tensor.dtype = static_cast<DataType>(message.dtype());
  tensor.shape.assign(message.shape().begin(), message.shape().end());
  if (message.has_data()) tensor.data = std::move(*message.mutable_data());
  return tensor;
}

Session FromProto(v1::Session&& message) {
  Session session;
  session.session_id = std::move(*message.mutable_session_id());
  session.seed = message.seed();
  session.mode = static_cast<Mode>(message.mode());
  session.layers = FromProto<Layer>(std::move(*message.mutable_layers()));
  session.ttl = FromProto(message.ttl());
  session.create_time = FromProto(message.create_time());
  session.expire_time = FromProto(message.expire_time());
  return session;
}

SessionPage FromProto(v1::ListSessionsResponse&& message) {
  SessionPage page;
  page.sessions = FromProto<Session>(std::move(*message.mutable_sessions()));
  page.next_page_token = std::move(*message.mutable_next_page_token());
  page.corrupt_session_ids = FromProto(std::move(*message.mutable_corrupt_session_ids()));
  return page;
}

Mask FromProto(v1::Mask&& message) {
  Mask mask;
  mask.shape.assign(message.shape().begin(), message.shape().end());
  mask.scale = message.scale();
  mask.sample_scales.assign(message.sample_scales().begin(), message.sample_scales().end());
  if (message.has_bits()) mask.bits = std::move(*message.mutable_bits());
  if (message.has_multipliers()) {
    mask.multipliers = FromProto(std::move(*message.mutable_multipliers()));
  }
  return mask;
}

ForwardResult FromProto(v1::ForwardResponse&& message) {
  ForwardResult result;
  result.output = FromProto(std::move(*message.mutable_output()));
  if (message.has_mask()) result.mask = FromProto(std::move(*message.mutable_mask()));
  result.mode = static_cast<Mode>(message.mode());
  result.p = message.p();
  return result;
}

BackwardResult FromProto(v1::BackwardResponse&& message) {
  BackwardResult result;
  result.input_gradient = FromProto(std::move(*message.mutable_input_gradient()));
  result.parameter_gradients =
      FromProto<Parameter>(std::move(*message.mutable_parameter_gradients()));
  return result;
}

Parameter FromProto(v1::Parameter&& message) {
  Parameter parameter;
  parameter.name = std::move(*message.mutable_name());
  parameter.value = FromProto(std::move(*message.mutable_value()));
  return parameter;
}

SharedMemory FromProto(v1::SharedMemory&& message) {
  SharedMemory region;
  region.region_id = std::move(*message.mutable_region_id());
  region.path = std::move(*message.mutable_path());
  region.byte_size = message.byte_size();
  return region;
}

ServerInfo FromProto(v1::ServerInfo&& message) {
  ServerInfo info;
  info.version = std::move(*message.mutable_version());
  info.simd_target = std::move(*message.mutable_simd_target());
  info.simd_targets = FromProto(std::move(*message.mutable_simd_targets()));
  info.store = std::move(*message.mutable_store());
  info.variants = FromProto(std::move(*message.mutable_variants()));
  info.schedules = FromProto(std::move(*message.mutable_schedules()));
  info.unsupported_rpcs = FromProto(std::move(*message.mutable_unsupported_rpcs()));
  info.generators = Enumerators<Generator>(message.generators());
  info.data_types = Enumerators<DataType>(message.data_types());
  CopyLimits(message.limits(), &info);
  return info;
}

std::vector<std::string> FromProto(google::protobuf::RepeatedPtrField<std::string>&& messages) {
  return {std::make_move_iterator(messages.begin()), std::make_move_iterator(messages.end())};
}

}  // namespace dropout
