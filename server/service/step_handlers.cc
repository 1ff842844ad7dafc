// Handlers of Forward, Backward, GetMask and ReleaseSteps.
#include <optional>
#include <string>

#include "server/service/convert.h"
#include "server/service/dropout_service.h"
#include "server/service/unary.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

// What Forward-, Backward- and GetMaskRequest have in common.
template <typename Request>
StepRef StepOf(const Request& request) {
  StepRef at;
  at.session_id = request.session_id();
  at.layer_id = request.layer_id();
  if (request.has_step()) at.step = request.step();
  at.sample_offset = request.sample_offset();
  return at;
}

// The place for an answer of the same type and shape as `like`, in the answer itself.
template <typename Request>
absl::StatusOr<void*> AllocateLike(const Request& request, const v1::Tensor& like,
                                   v1::Tensor& answer) {
  if (request.has_output()) {
    return MakeError(Reason::kRpcUnsupported, "output: shared memory is not built");
  }
  answer.set_dtype(like.dtype());
  *answer.mutable_shape() = like.shape();
  answer.mutable_data()->resize(like.data().size());
  return static_cast<void*>(answer.mutable_data()->data());
}

}  // namespace

DropoutService::Reactor* DropoutService::Forward(Context* context, const Bytes* request,
                                                 Bytes* response) {
  return RunUnary<v1::ForwardRequest, v1::ForwardResponse>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const TensorRef input, FromProto(in.input(), "input"));
        DROPOUTD_ASSIGN_OR_RETURN(void* const place,
                                  AllocateLike(in, in.input(), *out.mutable_output()));
        DROPOUTD_ASSIGN_OR_RETURN(const ForwardOutcome outcome,
                                  engine_.Forward(StepOf(in), input, place, in.return_mask()));
        out.set_mode(ToProto(outcome.mode));
        out.set_p(outcome.p);
        if (outcome.mask.has_value()) *out.mutable_mask() = ToProto(*outcome.mask);
        return absl::OkStatus();
      });
}

DropoutService::Reactor* DropoutService::Backward(Context* context, const Bytes* request,
                                                  Bytes* response) {
  return RunUnary<v1::BackwardRequest, v1::BackwardResponse>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const TensorRef gradient,
                                  FromProto(in.output_gradient(), "output_gradient"));
        DROPOUTD_ASSIGN_OR_RETURN(
            void* const place,
            AllocateLike(in, in.output_gradient(), *out.mutable_input_gradient()));
        return engine_.Backward(StepOf(in), gradient, place, in.release());
      });
}

DropoutService::Reactor* DropoutService::GetMask(Context* context, const Bytes* request,
                                                 Bytes* response) {
  return RunUnary<v1::GetMaskRequest, v1::Mask>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
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

DropoutService::Reactor* DropoutService::ReleaseSteps(Context* context, const Bytes* request,
                                                      Bytes* response) {
  return RunUnary<v1::ReleaseStepsRequest, v1::ReleaseStepsResponse>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
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
