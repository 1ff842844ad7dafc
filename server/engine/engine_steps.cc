// Forward, Backward and GetMask. Each takes what it needs under the session's lock, works
// on the tensor without it, and commits.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/base/status_macros.h"
#include "server/dropout/variant.h"
#include "server/engine/engine.h"
#include "server/engine/step_call.h"
#include "server/engine/step_run_state.h"

namespace dropoutd {
namespace {

SharedBits Share(PackedBits bits) { return std::make_shared<const PackedBits>(std::move(bits)); }

absl::Status StepRequired(const char* why) {
  return MakeError(Reason::kStepRequired, absl::StrCat("step: required ", why));
}

absl::Status StepNotFound(const StepRef& at, const char* why) {
  return MakeError(
      Reason::kStepNotFound,
      absl::StrCat("step: no record of step ", at.step.value_or(0), " at sample_offset ",
                   at.sample_offset, " of layer ", Quote(at.layer_id), why));
}

// What the layer, as it is now, cannot do without.
absl::Status CheckCoordinates(const Call& call, const StepRef& at) {
  if (call.layer.mode() == Mode::kTrain) {
    if (!at.step.has_value()) return StepRequired("by a layer in TRAIN");
    if (IsSequenceKeyed(call.config()) && !at.sequence_id.has_value()) {
      return MakeError(Reason::kSequenceRequired,
                       "sequence_id: required by a layer that is keyed by sequence, in TRAIN");
    }
  } else if (call.config().scaling == Scaling::kEval && HasSchedule(call.config().schedule) &&
             !at.step.has_value()) {
    return StepRequired("where EVAL scales by a scheduled p");
  }
  return absl::OkStatus();
}

// How many samples have a scale of their own, a float64, beside the mask's bits.
std::size_t ScaledSamples(const Plan& plan) {
  const bool has_scales = plan.action == Action::kBlock &&
                          plan.blocks.normalization == DropBlockOptions::Normalization::kSample;
  return has_scales ? static_cast<std::size_t>(plan.blocks.samples) : 0;
}

// Bytes of the noise where it is held whole: a bit or a float64 an element, and samples' scales.
absl::Status CheckMaskSize(const Plan& plan, const Limits& limits) {
  const auto count = static_cast<std::size_t>(plan.mask_shape.ElementCount());
  const std::size_t most = plan.Draws() && !plan.IsBinary() ? limits.max_mask_bytes / sizeof(double)
                                                            : limits.max_mask_bytes * 8;
  if (count > most) {
    return MakeError(Reason::kQuotaMessageBytes,
                     absl::StrCat("shape: ", plan.layout.tensor.ToString(), " has a mask of ",
                                  count, " elements, --max_message_bytes allows ", most));
  }
  const std::size_t most_scales = (limits.max_mask_bytes - count / 8) / sizeof(double);
  if (ScaledSamples(plan) <= most_scales) return absl::OkStatus();
  return MakeError(Reason::kQuotaMessageBytes,
                   absl::StrCat("shape: ", plan.layout.tensor.ToString(), " has a mask of ", count,
                                " elements and ", ScaledSamples(plan),
                                " samples with a scale each, the most allowed beside so many "
                                "elements is ",
                                most_scales, "; ask for fewer samples in one call"));
}

absl::Status CheckSquaredNorm(const std::optional<double>& norm) {
  if (!norm.has_value() || (std::isfinite(*norm) && *norm >= 0)) return absl::OkStatus();
  return MakeError(Reason::kInvalidRequest,
                   absl::StrCat("weight_squared_norm: ", *norm, ", must be 0 or more and finite"));
}

// Whether a pass makes the whole noise before the elements.
bool DrawsAhead(const Plan& plan) {
  return plan.Draws() && plan.action != Action::kLinear &&
         (!plan.layout.IsElementwise() || plan.action == Action::kBlock);
}

// Fresh bits are collected only if they can be kept.
Pass::Bits Collect(const Plan& plan, bool wanted, const Limits& limits) {
  const auto byte_size = static_cast<std::size_t>(plan.layout.noise.ElementCount()) / 8;
  return wanted || byte_size < std::min(limits.mask_cache_bytes, limits.max_mask_bytes)
             ? Pass::Bits::kKeep
             : Pass::Bits::kForget;
}

// Bytes of the noise, or of its bits.
std::size_t NoiseBytes(const Plan& plan) {
  if (!plan.Draws()) return 0;
  const auto count = static_cast<std::size_t>(plan.layout.noise.ElementCount());
  return plan.IsBinary() ? count / 8 : count * sizeof(double);
}

struct HeldParts {
  bool mask = false;      // To be returned.
  bool stream = false;    // Of a sequential generator.
  std::size_t input = 0;  // Bytes of one that is retained.
};

// What a run holds until it ends.
std::size_t HeldBytes(const Plan& plan, const HeldParts& parts, const Limits& limits) {
  std::size_t bytes = 0;
  const bool keeps = plan.IsBinary() && Collect(plan, parts.mask, limits) == Pass::Bits::kKeep;
  if (DrawsAhead(plan) || parts.stream || keeps) bytes += NoiseBytes(plan);
  if (parts.mask) bytes += NoiseBytes(plan);
  return bytes + parts.input;
}

// `bits` and `scales`: of the plan's noise, if it draws bits.
MaskView MakeMaskView(const Plan& plan, SharedBits bits, std::vector<double> scales) {
  MaskView view;
  view.shape = plan.mask_shape;
  view.scale = plan.scale;
  if (plan.Draws() && !plan.IsBinary()) {
    view.multipliers = DrawMultipliers(plan);
    return view;
  }
  if (plan.action == Action::kBlock) {
    if (plan.blocks.normalization == DropBlockOptions::Normalization::kBatch) {
      view.scale = scales.empty() ? 1.0 : scales.front();
    } else {
      view.sample_scales = std::move(scales);
    }
  }
  view.bits = bits != nullptr ? std::move(bits) : Share(KeepAllBits(plan));
  return view;
}

// The view of a mask that is not at hand.
MaskView DrawMaskView(const Plan& plan) {
  SharedBits bits;
  if (plan.Draws() && plan.IsBinary()) bits = Share(DrawBits(plan));
  std::vector<double> scales;
  if (plan.action == Action::kBlock) scales = BlockScales(plan.blocks, *bits);
  return MakeMaskView(plan, std::move(bits), std::move(scales));
}

// Room for an input that Backward will need.
absl::StatusOr<std::shared_ptr<RetainedInput>> MakeRetained(DataType dtype, const Shape& shape,
                                                            const LayerSnapshot& layer,
                                                            const Limits& limits) {
  const auto count = static_cast<std::size_t>(shape.ElementCount());
  const auto element_size = static_cast<std::size_t>(ElementSize(dtype));
  if (count > limits.input_cache_bytes / element_size) {
    return MakeError(Reason::kQuotaMessageBytes,
                     absl::StrCat("input: ", shape.ToString(), " of ", element_size,
                                  "-byte elements; this layer keeps its input, and "
                                  "--input_cache_bytes allows ",
                                  limits.input_cache_bytes, " bytes"));
  }
  auto retained = std::make_shared<RetainedInput>();
  retained->dtype = dtype;
  retained->data_size = count * element_size;
  retained->data = std::make_unique_for_overwrite<std::byte[]>(retained->data_size);
  retained->parameters = Budgets::WithoutCharge(layer.parameters);
  retained->parameters_id = layer.image->parameters_id;
  return retained;
}

absl::Status AcceptAll(const StepRun&) { return absl::OkStatus(); }

}  // namespace

// What a Forward will do, on the layer as the call found it.
absl::StatusOr<StepRun> Engine::PlanForward(Call call, const StepRef& at, DataType dtype,
                                            const Shape& shape, bool return_mask) {
  DROPOUTD_RETURN_IF_ERROR(CheckCoordinates(call, at));
  auto state = std::make_unique<StepRun::State>(counters_);
  DROPOUTD_ASSIGN_OR_RETURN(state->plan, call.PresentPlan(shape));
  const Plan& plan = state->plan;
  state->draws_from_stream = plan.Draws() && IsSequential(call.config().generator);
  if (return_mask || DrawsAhead(plan) || state->draws_from_stream) {
    DROPOUTD_RETURN_IF_ERROR(CheckMaskSize(plan, limits_));
  }
  if (plan.action == Action::kLinear) {
    DROPOUTD_ASSIGN_OR_RETURN(state->linear_parameters,
                              LinearParameters::Find(plan, *call.layer.parameters));
  }
  state->dtype = dtype;
  state->output_shape = plan.output;
  state->return_mask = return_mask;
  state->step_key = KeyOf(at);
  state->parameters = call.layer.parameters;
  if (call.layer.key.has_value() && !state->draws_from_stream) {
    state->record = MakeRecord(call.layer, plan);
  }
  HeldParts held{return_mask, state->draws_from_stream, 0};
  if (plan.NeedsInput() && state->record.has_value()) {
    held.input = static_cast<std::size_t>(shape.ElementCount() * ElementSize(dtype));
  }
  state->held_bytes = HeldBytes(plan, held, limits_);
  state->place = std::move(call);
  return StepRun(std::move(state));
}

// Takes the memory that a planned Forward needs. QUOTA_MESSAGE_BYTES.
absl::Status Engine::Prepare(StepRun::State& state) {
  const Plan& plan = state.plan;
  if (plan.NeedsInput() && state.record.has_value()) {
    DROPOUTD_ASSIGN_OR_RETURN(
        state.retaining, MakeRetained(state.dtype, plan.layout.tensor, state.place.layer, limits_));
  }
  if (plan.action != Action::kLinear && !state.draws_from_stream) {
    state.pass.emplace(plan, state.dtype, nullptr, Collect(plan, state.return_mask, limits_));
  }
  return absl::OkStatus();
}

// A Forward over a shared store in one round trip: it begins on the copy that is here, and the
// write of its record says whether that was up to date. An error if it was not, or if the Forward
// is of another kind: then the store must be asked first.
absl::StatusOr<StepRun> Engine::BeginForwardHere(const StepRef& at, DataType dtype,
                                                 const Shape& shape, bool return_mask,
                                                 RunCheck check) {
  const std::optional<StepKey> key = KeyOf(at);
  if (!key.has_value()) return absl::FailedPreconditionError("there is nothing to write");
  std::optional<StepRun> run;
  const auto prepare = [&](const StepPlace& place) -> const StepRecord* {
    auto planned = PlanForward(MakeCall(place, at), at, dtype, shape, return_mask);
    if (!planned.ok()) return nullptr;
    run = *std::move(planned);
    StepRun::State& state = *run->state_;
    const bool is_plain = state.plan.Draws() && !state.draws_from_stream &&
                          !state.plan.NeedsInput() && state.plan.action != Action::kLinear;
    return is_plain && check(*run).ok() && Prepare(state).ok() ? &*state.record : nullptr;
  };
  auto write = repository_->WriteHere(at.session_id, at.layer_id, *key, prepare);
  if (write == nullptr) return absl::FailedPreconditionError("ask the store first");
  run->state_->write = std::move(write);
  run->state_->is_started = true;
  return *std::move(run);
}

absl::StatusOr<StepRun> Engine::BeginForward(const StepRef& at, DataType dtype, const Shape& shape,
                                             const ForwardOptions& options, RunCheck check) {
  if (options.start == ForwardStart::kNow) {
    auto run = BeginForwardHere(at, dtype, shape, options.return_mask, check);
    // An error may be of a copy that is stale.
    if (run.ok()) return run;
  }
  DROPOUTD_ASSIGN_OR_RETURN(Call call, BeginCall(*repository_, at, /*needs_record=*/false));
  DROPOUTD_ASSIGN_OR_RETURN(StepRun run,
                            PlanForward(std::move(call), at, dtype, shape, options.return_mask));
  DROPOUTD_RETURN_IF_ERROR(check(run));
  DROPOUTD_RETURN_IF_ERROR(Prepare(*run.state_));
  if (options.start == ForwardStart::kNow) DROPOUTD_RETURN_IF_ERROR(StartForward(run));
  return run;
}

absl::Status Engine::StartForward(StepRun& run) {
  StepRun::State& state = *run.state_;
  if (std::exchange(state.is_started, true)) return absl::OkStatus();
  if (state.draws_from_stream) return DrawFromStream(state);
  if (!state.record.has_value()) return absl::OkStatus();
  // What is kept here is found to have no place before a store has it.
  const StepPlace& place = state.place;
  DROPOUTD_RETURN_IF_ERROR(place.session->CheckRoom(*place.layer.book, *place.layer.key));
  // A store writes while the elements are worked on. An input is not here yet: its record is
  // written at the end.
  if (state.retaining == nullptr) StartRecord(state);
  return absl::OkStatus();
}

// Draws the step's mask, or finds it, and with it what the step is applied with.
absl::Status Engine::DrawFromStream(StepRun::State& state) {
  const Shape shape = state.plan.layout.tensor;
  const auto draw = [&state](SequentialNoise& noise) {
    PackedBits bits(static_cast<std::size_t>(state.plan.layout.noise.ElementCount()));
    noise.Draw(state.plan.rate.p, bits);
    StepRecord record = MakeRecord(state.place.layer, state.plan);
    record.pinned = Share(std::move(bits));
    return record;
  };
  DROPOUTD_ASSIGN_OR_RETURN(Repository::Drawn drawn,
                            repository_->Draw(state.place, *state.step_key, shape, draw));
  if (drawn.record != nullptr) {
    DROPOUTD_ASSIGN_OR_RETURN(state.plan, state.place.RecordedPlan(*drawn.record, shape));
  }
  state.pass.emplace(state.plan, state.dtype, std::move(drawn.bits),
                     Collect(state.plan, state.return_mask, limits_));
  return absl::OkStatus();
}

void Engine::StartRecord(StepRun::State& state) {
  const auto if_present = state.plan.Draws() ? IfPresent::kReplace : IfPresent::kKeep;
  state.write = repository_->StartRecord(state.place, *state.record, state.retaining, if_present);
}

absl::StatusOr<ForwardOutcome> Engine::FinishForward(StepRun& run) {
  DROPOUTD_RETURN_IF_ERROR(StartForward(run));
  StepRun::State& state = *run.state_;
  const Plan& plan = state.plan;
  const SharedBits bits = state.pass.has_value() ? state.pass->bits() : nullptr;
  if (state.record.has_value()) {
    if (state.write == nullptr) StartRecord(state);
    DROPOUTD_RETURN_IF_ERROR(
        state.write->Finish(*std::move(state.record), bits, std::move(state.retaining)));
  }
  if (plan.Draws()) {
    counters_.CountMask(*state.place.layer.config(), SampleDrops(plan, bits.get()));
  }
  ForwardOutcome outcome{state.place.layer.mode(), plan.rate.p, std::nullopt};
  if (!state.return_mask) return outcome;
  outcome.mask = state.pass.has_value() ? MakeMaskView(plan, bits, state.pass->sample_scales())
                                        : DrawMaskView(plan);
  outcome.mask->mode = outcome.mode;
  return outcome;
}

// The bits of a step that are at hand; null: they must be drawn again.
SharedBits Engine::BitsOf(const StepRecord& record) {
  if (record.pinned != nullptr || !record.mask) return record.pinned;
  SharedBits bits = record.mask.Get();
  if (bits == nullptr) counters_.CountRegeneration();
  return bits;
}

absl::StatusOr<StepRun> Engine::BeginBackward(const StepRef& at, DataType dtype, const Shape& shape,
                                              const BackwardOptions& options, RunCheck check) {
  DROPOUTD_RETURN_IF_ERROR(CheckSquaredNorm(options.weight_squared_norm));
  DROPOUTD_ASSIGN_OR_RETURN(Call call, BeginCall(*repository_, at, /*needs_record=*/true));
  auto state = std::make_unique<StepRun::State>(counters_);
  state->is_forward = false;
  state->dtype = dtype;
  state->options = options;
  const SharedRecord record = call.layer.record;
  if (record == nullptr) {
    if (call.layer.mode() == Mode::kTrain) {
      DROPOUTD_RETURN_IF_ERROR(CheckCoordinates(call, at));
      return StepNotFound(at, ": it never ran, or was released or evicted");
    }
    DROPOUTD_RETURN_IF_ERROR(CheckCoordinates(call, at));
    DROPOUTD_ASSIGN_OR_RETURN(const Shape input, InputShape(call.config(), shape));
    DROPOUTD_ASSIGN_OR_RETURN(state->plan, call.PresentPlan(input));
    state->parameters = call.layer.parameters;
  } else {
    DROPOUTD_ASSIGN_OR_RETURN(state->plan, call.RecordedPlan(*record, record->shape));
    if (shape != state->plan.output) {
      return MakeError(Reason::kShapeMismatch,
                       absl::StrCat("output_gradient: shape ", shape.ToString(), ", must be the ",
                                    "Forward's ", state->plan.output.ToString()));
    }
    state->parameters = call.layer.parameters;
    if (call.layer.retained != nullptr) {
      state->retained = call.layer.retained;
      state->parameters = state->retained->parameters;
    } else if (record->input) {
      state->retained = record->input.Get();
      if (state->retained == nullptr) {
        return StepNotFound(at, " any more: its input, which the gradient needs, was evicted");
      }
      state->parameters = state->retained->parameters;
    }
  }
  state->plan = state->plan.Gradient();
  const Plan& plan = state->plan;
  state->output_shape = plan.layout.tensor;
  if (plan.action == Action::kLinear) {
    DROPOUTD_ASSIGN_OR_RETURN(state->linear_parameters,
                              LinearParameters::Find(plan, *state->parameters));
  }
  SharedBits bits = record != nullptr ? BitsOf(*record) : nullptr;
  if (bits == nullptr) state->held_bytes = HeldBytes(plan, {}, limits_);
  state->place = std::move(call);
  StepRun run(std::move(state));
  DROPOUTD_RETURN_IF_ERROR(check(run));
  StepRun::State& checked = *run.state_;
  if (checked.plan.action != Action::kLinear) {
    checked.pass.emplace(checked.plan, dtype, std::move(bits),
                         Collect(checked.plan, false, limits_));
  }
  if (checked.retained != nullptr && checked.plan.action == Action::kMultiply) {
    checked.concrete.emplace(checked.plan, checked.retained->dtype, checked.retained->data.get());
  }
  return run;
}

absl::StatusOr<BackwardOutcome> Engine::FinishBackward(StepRun& run) {
  StepRun::State& state = *run.state_;
  BackwardOutcome outcome;
  if (state.concrete.has_value()) {
    outcome.parameter_gradients.push_back(MakeScalar(kLogitP, state.concrete->logit_p()));
    const auto& options = std::get<ConcreteOptions>(state.place.layer.record->config->options);
    outcome.parameter_gradients.push_back(MakeScalar(
        kLogitPRegularizer,
        ConcreteRegularizerGradient(state.plan, options, state.options.weight_squared_norm)));
  }
  if (state.linear.has_value()) {
    outcome.parameter_gradients.push_back(std::move(state.linear->weight));
    if (state.linear->bias.has_value()) {
      outcome.parameter_gradients.push_back(*std::move(state.linear->bias));
    }
  }
  const SharedRecord& record = state.place.layer.record;
  if (record == nullptr) return outcome;
  if (state.options.release) {
    DROPOUTD_RETURN_IF_ERROR(repository_->Release(state.place));
  } else if (record->mask && state.pass.has_value() && state.pass->bits() != nullptr) {
    record->mask.Put(state.pass->bits());
  }
  return outcome;
}

absl::StatusOr<ForwardOutcome> Engine::Forward(const StepRef& at, const TensorRef& input,
                                               void* output, bool return_mask) {
  DROPOUTD_ASSIGN_OR_RETURN(
      StepRun run,
      BeginForward(at, input.dtype, input.shape, {return_mask, ForwardStart::kNow}, AcceptAll));
  run.Run(0, static_cast<std::size_t>(input.shape.ElementCount()), input.data, output);
  return FinishForward(run);
}

absl::Status Engine::Backward(const StepRef& at, const TensorRef& output_gradient,
                              void* input_gradient, bool release) {
  DROPOUTD_ASSIGN_OR_RETURN(StepRun run,
                            BeginBackward(at, output_gradient.dtype, output_gradient.shape,
                                          {release, std::nullopt}, AcceptAll));
  run.Run(0, static_cast<std::size_t>(output_gradient.shape.ElementCount()), output_gradient.data,
          input_gradient);
  return FinishBackward(run).status();
}

absl::StatusOr<MaskView> Engine::GetMask(const StepRef& at, const std::optional<Shape>& shape) {
  DROPOUTD_ASSIGN_OR_RETURN(const Call call, BeginCall(*repository_, at, /*needs_record=*/true));
  DROPOUTD_ASSIGN_OR_RETURN(MaskView view, MaskOf(call, at, shape));
  view.mode = call.layer.record != nullptr ? call.layer.record->mode : call.layer.mode();
  return view;
}

absl::StatusOr<MaskView> Engine::MaskOf(const Call& call, const StepRef& at,
                                        const std::optional<Shape>& shape) {
  const SharedRecord record = call.layer.record;
  if (record == nullptr) {
    DROPOUTD_RETURN_IF_ERROR(CheckCoordinates(call, at));
    if (!at.step.has_value() && !shape.has_value()) {
      return StepRequired("where no shape is given");
    }
    if (!shape.has_value()) {
      return StepNotFound(at, "; give a shape to ask for a mask without a Forward");
    }
  }
  const Shape& wanted = shape.has_value() ? *shape : record->shape;
  DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, record != nullptr ? call.RecordedPlan(*record, wanted)
                                                               : call.PresentPlan(wanted));
  DROPOUTD_RETURN_IF_ERROR(CheckMaskSize(plan, limits_));
  if (!plan.Draws()) return DrawMaskView(plan);
  if (record != nullptr && wanted == record->shape) {
    SharedBits bits = BitsOf(*record);
    if (bits == nullptr) {
      MaskView view = DrawMaskView(plan);
      if (record->mask) record->mask.Put(view.bits);
      return view;
    }
    std::vector<double> scales;
    if (plan.action == Action::kBlock) scales = BlockScales(plan.blocks, *bits);
    return MakeMaskView(plan, std::move(bits), std::move(scales));
  }
  const LayerConfig& config = record != nullptr ? *record->config : call.config();
  if (IsSequential(config.generator)) {
    return StepNotFound(at,
                        " with this shape, and a sequential generator has no mask before its "
                        "Forward");
  }
  return DrawMaskView(plan);
}

}  // namespace dropoutd
