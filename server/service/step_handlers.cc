// Handlers of Forward, Backward, GetMask and ReleaseSteps.
#include <optional>
#include <string>
#include <utility>

#include "server/service/convert.h"
#include "server/service/dropout_service.h"
#include "server/service/step_operation.h"
#include "server/service/unary.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

StepRef StepOf(const v1::GetMaskRequest& request) {
  StepRef at;
  at.session_id = request.session_id();
  at.layer_id = request.layer_id();
  if (request.has_step()) at.step = request.step();
  at.sample_offset = request.sample_offset();
  if (request.has_sequence_id()) at.sequence_id = request.sequence_id();
  return at;
}

absl::Status Assign(absl::StatusOr<grpc::ByteBuffer> answer, grpc::ByteBuffer& response) {
  DROPOUTD_RETURN_IF_ERROR(answer.status());
  response = *std::move(answer);
  return absl::OkStatus();
}

}  // namespace

absl::Status DropoutService::Forward(const GatedCall& call, const Bytes& request, Bytes& response) {
  return Assign(AnswerStep(Resources(), StepKind::kForward, call.tenant, request, call.reserve),
                response);
}

absl::Status DropoutService::Backward(const GatedCall& call, const Bytes& request,
                                      Bytes& response) {
  return Assign(AnswerStep(Resources(), StepKind::kBackward, call.tenant, request, call.reserve),
                response);
}

absl::Status DropoutService::GetMask(const GatedCall& call, const Bytes& request, Bytes& response) {
  return RunUnary<v1::GetMaskRequest, v1::Mask>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        std::optional<Shape> shape;
        if (in.shape_size() != 0) {
          DROPOUTD_ASSIGN_OR_RETURN(
              shape, Shape::Make({in.shape().data(), static_cast<std::size_t>(in.shape_size())}));
        }
        DROPOUTD_ASSIGN_OR_RETURN(const MaskView mask, engine_.GetMask(StepOf(in), shape));
        out = ToProto(mask);
        return absl::OkStatus();
      });
}

absl::Status DropoutService::ReleaseSteps(const GatedCall& call, const Bytes& request,
                                          Bytes& response) {
  return RunUnary<v1::ReleaseStepsRequest, v1::ReleaseStepsResponse>(
      call, request, response, [&](const auto& in, auto& out) -> absl::Status {
        if (!in.has_through_step()) {
          return MakeError(Reason::kStepRequired, "through_step: required");
        }
        DROPOUTD_ASSIGN_OR_RETURN(
            const std::uint64_t count,
            engine_.ReleaseSteps(in.session_id(), in.layer_id(), in.through_step()));
        out.set_released_count(count);
        return absl::OkStatus();
      });
}

}  // namespace dropoutd
