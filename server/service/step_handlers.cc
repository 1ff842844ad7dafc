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
  if (request.has_sequence_id()) at.sequence_id = request.sequence_id();
  return at;
}

// Refuses a request for another place than the answer.
template <typename Request>
absl::Status CheckOutput(const Request& request) {
  if (!request.has_output()) return absl::OkStatus();
  return MakeError(Reason::kRpcUnsupported, "output: shared memory is not built");
}

// Runs on the whole of `input`, into `answer`.
void RunWhole(StepRun& run, const TensorRef& input, v1::Tensor& answer) {
  const Shape& shape = run.output_shape();
  answer.set_dtype(ToProto(input.dtype));
  answer.mutable_shape()->Assign(shape.sizes().begin(), shape.sizes().end());
  std::string& data = *answer.mutable_data();
  data.resize(static_cast<std::size_t>(shape.ElementCount() * ElementSize(input.dtype)));
  run.Run(0, static_cast<std::size_t>(input.shape.ElementCount()), input.data, data.data());
}

}  // namespace

DropoutService::Reactor* DropoutService::Forward(Context* context, const Bytes* request,
                                                 Bytes* response) {
  return RunUnary<v1::ForwardRequest, v1::ForwardResponse>(
      gate_, *context, *request, *response, [&](const auto& in, auto& out) -> absl::Status {
        DROPOUTD_ASSIGN_OR_RETURN(const TensorRef input, FromProto(in.input(), "input"));
        DROPOUTD_RETURN_IF_ERROR(CheckOutput(in));
        DROPOUTD_ASSIGN_OR_RETURN(
            StepRun run,
            engine_.BeginForward(StepOf(in), input.dtype, input.shape, in.return_mask()));
        RunWhole(run, input, *out.mutable_output());
        DROPOUTD_ASSIGN_OR_RETURN(const ForwardOutcome outcome, engine_.FinishForward(run));
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
        DROPOUTD_RETURN_IF_ERROR(CheckOutput(in));
        BackwardOptions options{in.release(), std::nullopt};
        if (in.has_weight_squared_norm()) options.weight_squared_norm = in.weight_squared_norm();
        DROPOUTD_ASSIGN_OR_RETURN(
            StepRun run,
            engine_.BeginBackward(StepOf(in), gradient.dtype, gradient.shape, options));
        RunWhole(run, gradient, *out.mutable_input_gradient());
        const BackwardOutcome outcome = engine_.FinishBackward(run);
        for (const Parameter& parameter : outcome.parameter_gradients) {
          *out.add_parameter_gradients() = ToProto(parameter);
        }
        return absl::OkStatus();
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
