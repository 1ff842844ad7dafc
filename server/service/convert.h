// Between messages and the server's own types: checks what only the wire can get wrong
// (unknown enum values, sizes that disagree), and decides nothing else.
#ifndef DROPOUTD_SERVER_SERVICE_CONVERT_H_
#define DROPOUTD_SERVER_SERVICE_CONVERT_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dropout/v1/session.pb.h"
#include "dropout/v1/step.pb.h"
#include "dropout/v1/tensor.pb.h"
#include "server/base/error.h"
#include "server/engine/engine.h"
#include "server/service/convert_layer.h"

namespace dropoutd {

// The type with that number in the proto. INVALID_TENSOR, naming `field`.
absl::StatusOr<DataType> ConvertDataType(int dtype, absl::string_view field);

// INVALID_LAYER, INVALID_SESSION.
absl::StatusOr<SessionSpec> FromProto(const dropout::v1::CreateSessionRequest& request);

// A view of the message's bytes, which it must not outlive. INVALID_TENSOR, naming
// `field`; RPC_UNSUPPORTED for shared memory.
absl::StatusOr<TensorRef> FromProto(const dropout::v1::Tensor& tensor, absl::string_view field);

// A copy of the message's bytes. INVALID_TENSOR.
absl::StatusOr<Parameter> FromProto(const dropout::v1::Parameter& parameter);

dropout::v1::DataType ToProto(DataType dtype);
dropout::v1::Session ToProto(const SessionView& session);
dropout::v1::Parameter ToProto(const Parameter& parameter);
dropout::v1::Mask ToProto(const MaskView& mask);
google::protobuf::Duration ToProto(Nanoseconds duration);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_CONVERT_H_
