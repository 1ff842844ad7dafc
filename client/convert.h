// The wire's messages to the client's values and back.
//
// FromProto takes its message by rvalue and moves the bytes out of it. ToProto copies,
// which protobuf requires. Enumerators have the wire's numbers, unknown ones included.
#ifndef DROPOUTD_CLIENT_CONVERT_H_
#define DROPOUTD_CLIENT_CONVERT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dropout/types.h"
#include "dropout/v1/dropout_service.pb.h"

namespace dropout {

void ToProto(const TensorView& tensor, v1::Tensor* message);
void ToProto(const Layer& layer, v1::Layer* message);

// The p of a layer that is made or replaced; 0 under a schedule, and 0.1 for concrete, which learns
// it, where none is given. INVALID_ARGUMENT, which names `field`, for other layers without p.
absl::StatusOr<double> PToSend(const Layer& layer, absl::string_view field);

void ToProto(const Parameter& parameter, v1::Parameter* message);

// The session_id is taken as it is, also where it is empty.
void ToProto(const SessionOptions& options, v1::CreateSessionRequest* message);

// The fields that ForwardRequest, BackwardRequest and GetMaskRequest share.
template <typename Request>
void ToProto(const StepRef& step, Request* message) {
  message->set_session_id(step.session_id);
  message->set_layer_id(step.layer_id);
  if (step.step.has_value()) message->set_step(*step.step);
  message->set_sample_offset(step.sample_offset);
  if (step.sequence_id.has_value()) message->set_sequence_id(*step.sequence_id);
}

Tensor FromProto(v1::Tensor&& message);
Layer FromProto(v1::Layer&& message);
Session FromProto(v1::Session&& message);
SessionPage FromProto(v1::ListSessionsResponse&& message);
Mask FromProto(v1::Mask&& message);
ForwardResult FromProto(v1::ForwardResponse&& message);
BackwardResult FromProto(v1::BackwardResponse&& message);
Parameter FromProto(v1::Parameter&& message);
SharedMemory FromProto(v1::SharedMemory&& message);
ServerInfo FromProto(v1::ServerInfo&& message);

// A repeated field of messages, one by one.
template <typename Value, typename Message>
std::vector<Value> FromProto(google::protobuf::RepeatedPtrField<Message>&& messages) {
  std::vector<Value> values;
  values.reserve(messages.size());
  for (Message& message : messages) values.push_back(FromProto(std::move(message)));
  return values;
}

std::vector<std::string> FromProto(google::protobuf::RepeatedPtrField<std::string>&& messages);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_CONVERT_H_
