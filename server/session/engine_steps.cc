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
#include "server/session/engine.h"
#include "server/session/step_call.h"
#include "server/session/step_run_state.h"
#include "server/session/stream_draw.h"

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
  if (call.layer.mode == Mode::kTrain) {
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
                                  count, " elements, the most allowed is ", most));
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
Pass::Bits Collect(const Plan& plan, bool wanted, const MaskCache& cache, const Limits& limits) {
  const auto byte_size = static_cast<std::size_t>(plan.layout.noise.ElementCount()) / 8;
  return wanted || byte_size < std::min(cache.budget(), limits.max_mask_bytes)
             ? Pass::Bits::kKeep
             : Pass::Bits::kForget;
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
                                  "-byte elements; this layer keeps its input, and the most "
                                  "allowed is ",
                                  limits.input_cache_bytes, " bytes"));
  }
  auto retained = std::make_shared<RetainedInput>();
  retained->dtype = dtype;
  retained->data_size = count * element_size;
  retained->data = std::make_unique_for_overwrite<std::byte[]>(retained->data_size);
  retained->parameters = layer.parameters;
  retained->parameters_version = layer.parameters_version;
  return retained;
}

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
    state.pass.emplace(plan, state.dtype, nullptr,
                       Collect(plan, state.return_mask, cache_, limits_));
  }
  return absl::OkStatus();
}

// A Forward over a shared store in one round trip: it begins on the copy that is here, and the
// write of its record says whether that was up to date. An error if it was not, or if the Forward
// is of another kind: then the store must be asked first.
absl::StatusOr<StepRun> Engine::BeginForwardHere(const StepRef& at, DataType dtype,
                                                 const Shape& shape, bool return_mask,
                                                 RunCheck check) {
  const absl::Status other_way = absl::FailedPreconditionError("ask the store first");
  DROPOUTD_ASSIGN_OR_RETURN(StepPlace place,
                            keeper_.FindHere(at.session_id, at.layer_id, KeyOf(at)));
  DROPOUTD_ASSIGN_OR_RETURN(
      StepRun run, PlanForward(MakeCall(std::move(place), at), at, dtype, shape, return_mask));
  StepRun::State& state = *run.state_;
  if (!state.plan.Draws() || state.draws_from_stream || state.plan.NeedsInput() ||
      state.plan.action == Action::kLinear || state.place.version == 0) {
    return other_way;
  }
  DROPOUTD_RETURN_IF_ERROR(check(run));
  DROPOUTD_RETURN_IF_ERROR(Prepare(state));
  DROPOUTD_RETURN_IF_ERROR(keeper_.CheckRoom(state.place));
  DROPOUTD_ASSIGN_OR_RETURN(const bool is_written, keeper_.WriteRecord(state.place, *state.record));
  if (!is_written) return other_way;
  state.is_started = true;
  return run;
}

absl::StatusOr<StepRun> Engine::BeginForward(const StepRef& at, DataType dtype, const Shape& shape,
                                             const ForwardOptions& options, RunCheck check) {
  if (keeper_.may_be_stale() && options.start == ForwardStart::kNow) {
    auto run = BeginForwardHere(at, dtype, shape, options.return_mask, check);
    // An error may be of a copy that is stale.
    if (run.ok()) return run;
  }
  DROPOUTD_ASSIGN_OR_RETURN(Call call, BeginCall(keeper_, at, /*needs_record=*/false));
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
  if (!state.record.has_value() || keeper_.store() == nullptr) return absl::OkStatus();
  // What is kept here is found to have no place before the store has it.
  DROPOUTD_RETURN_IF_ERROR(keeper_.CheckRoom(state.place));
  // The store writes while the elements are worked on. An input is not here yet: its record is
  // written at the end.
  if (state.retaining == nullptr) StartRecord(state);
  return absl::OkStatus();
}

// Draws the step's mask, or finds it, and with it what the step is applied with.
absl::Status Engine::DrawFromStream(StepRun::State& state) {
  const Shape shape = state.plan.layout.tensor;
  DROPOUTD_ASSIGN_OR_RETURN(StreamStep step,
                            TakeFromStream(state.place, *state.step_key, shape, cache_, keeper_));
  state.plan = step.plan;
  state.pass.emplace(state.plan, state.dtype, std::move(step.bits),
                     Collect(state.plan, state.return_mask, cache_, limits_));
  return absl::OkStatus();
}

void Engine::StartRecord(StepRun::State& state) {
  state.written = keeper_.StartRecord(state.place, *state.record, state.retaining.get(),
                                      /*only_if_absent=*/!state.plan.Draws());
}

// Here, and where there is a store when it has written it.
absl::Status Engine::FinishRecord(StepRun::State& state, const SharedBits& bits) {
  if (state.retaining != nullptr && keeper_.store() != nullptr) StartRecord(state);
  if (state.written.valid()) {
    DROPOUTD_ASSIGN_OR_RETURN(const bool is_written, state.written.get());
    if (!is_written) return absl::OkStatus();
  }
  if (keeper_.store() != nullptr) keeper_.TrimNowAndThen(state.place);
  StepRecord record = *std::move(state.record);
  if (bits != nullptr) record.mask_id = cache_.NewId();
  if (state.retaining != nullptr) record.input_id = budget_.inputs.NewId();
  const auto if_present =
      state.plan.Draws() ? Session::IfPresent::kReplace : Session::IfPresent::kKeep;
  absl::Status kept =
      state.place.session->Commit(*state.place.layer.state, *state.place.layer.key,
                                  std::move(record), bits, std::move(state.retaining), if_present);
  // Where the room has gone meanwhile the store's copy serves.
  if (keeper_.store() != nullptr && absl::IsResourceExhausted(kept)) return absl::OkStatus();
  return kept;
}

absl::StatusOr<ForwardOutcome> Engine::FinishForward(StepRun& run) {
  DROPOUTD_RETURN_IF_ERROR(StartForward(run));
  StepRun::State& state = *run.state_;
  const Plan& plan = state.plan;
  const SharedBits bits = state.pass.has_value() ? state.pass->bits() : nullptr;
  if (state.record.has_value()) DROPOUTD_RETURN_IF_ERROR(FinishRecord(state, bits));
  if (plan.Draws()) {
    counters_.CountMask(*state.place.layer.config, SampleDrops(plan, bits.get()));
  }
  ForwardOutcome outcome{state.place.layer.mode, plan.rate.p, std::nullopt};
  if (!state.return_mask) return outcome;
  outcome.mask = state.pass.has_value() ? MakeMaskView(plan, bits, state.pass->sample_scales())
                                        : DrawMaskView(plan);
  outcome.mask->mode = outcome.mode;
  return outcome;
}

absl::StatusOr<StepRun> Engine::BeginBackward(const StepRef& at, DataType dtype, const Shape& shape,
                                              const BackwardOptions& options) {
  DROPOUTD_RETURN_IF_ERROR(CheckSquaredNorm(options.weight_squared_norm));
  DROPOUTD_ASSIGN_OR_RETURN(Call call, BeginCall(keeper_, at, /*needs_record=*/true));
  auto state = std::make_unique<StepRun::State>(counters_);
  state->is_forward = false;
  state->dtype = dtype;
  state->options = options;
  const std::optional<StepRecord>& record = call.layer.record;
  if (!record.has_value()) {
    if (call.layer.mode == Mode::kTrain) {
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
    } else if (record->input_id != 0) {
      state->retained = budget_.inputs.Get(record->input_id);
      if (state->retained == nullptr && keeper_.store() != nullptr) {
        DROPOUTD_ASSIGN_OR_RETURN(state->retained, keeper_.ReadInput(call));
      }
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
  } else {
    SharedBits bits = record.has_value() ? record->pinned : nullptr;
    if (bits == nullptr && record.has_value() && record->mask_id != 0) {
      bits = cache_.Get(record->mask_id);
      if (bits == nullptr) counters_.CountRegeneration();
    }
    state->pass.emplace(plan, dtype, std::move(bits), Collect(plan, false, cache_, limits_));
  }
  if (state->retained != nullptr && plan.action == Action::kMultiply) {
    state->concrete.emplace(plan, state->retained->dtype, state->retained->data.get());
  }
  state->place = std::move(call);
  return StepRun(std::move(state));
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
  const LayerSnapshot& layer = state.place.layer;
  if (!layer.record.has_value()) return outcome;
  Session& session = *state.place.session;
  if (state.options.release) {
    if (keeper_.store() != nullptr) DROPOUTD_RETURN_IF_ERROR(keeper_.Release(state.place));
    session.ReleaseStep(*layer.state, layer.record_key);
  } else if (layer.record->mask_id != 0 && state.pass.has_value() &&
             state.pass->bits() != nullptr) {
    session.Recache(*layer.state, layer.record_key, layer.record->mask_id, state.pass->bits());
  }
  return outcome;
}

absl::StatusOr<ForwardOutcome> Engine::Forward(const StepRef& at, const TensorRef& input,
                                               void* output, bool return_mask) {
  const auto accept = [](const StepRun&) { return absl::OkStatus(); };
  DROPOUTD_ASSIGN_OR_RETURN(StepRun run, BeginForward(at, input.dtype, input.shape,
                                                      {return_mask, ForwardStart::kNow}, accept));
  run.Run(0, static_cast<std::size_t>(input.shape.ElementCount()), input.data, output);
  return FinishForward(run);
}

absl::Status Engine::Backward(const StepRef& at, const TensorRef& output_gradient,
                              void* input_gradient, bool release) {
  DROPOUTD_ASSIGN_OR_RETURN(
      StepRun run,
      BeginBackward(at, output_gradient.dtype, output_gradient.shape, {release, std::nullopt}));
  run.Run(0, static_cast<std::size_t>(output_gradient.shape.ElementCount()), output_gradient.data,
          input_gradient);
  return FinishBackward(run).status();
}

absl::StatusOr<MaskView> Engine::GetMask(const StepRef& at, const std::optional<Shape>& shape) {
  DROPOUTD_ASSIGN_OR_RETURN(const Call call, BeginCall(keeper_, at, /*needs_record=*/true));
  DROPOUTD_ASSIGN_OR_RETURN(MaskView view, MaskOf(call, at, shape));
  view.mode = call.layer.record.has_value() ? call.layer.record->mode : call.layer.mode;
  return view;
}

absl::StatusOr<MaskView> Engine::MaskOf(const Call& call, const StepRef& at,
                                        const std::optional<Shape>& shape) {
  const std::optional<StepRecord>& record = call.layer.record;
  if (!record.has_value()) {
    DROPOUTD_RETURN_IF_ERROR(CheckCoordinates(call, at));
    if (!at.step.has_value() && !shape.has_value()) {
      return StepRequired("where no shape is given");
    }
    if (!shape.has_value()) {
      return StepNotFound(at, "; give a shape to ask for a mask without a Forward");
    }
  }
  const Shape& wanted = shape.has_value() ? *shape : record->shape;
  DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, record.has_value() ? call.RecordedPlan(*record, wanted)
                                                                : call.PresentPlan(wanted));
  DROPOUTD_RETURN_IF_ERROR(CheckMaskSize(plan, limits_));
  if (!plan.Draws()) return DrawMaskView(plan);
  if (record.has_value() && wanted == record->shape) {
    SharedBits bits = record->pinned;
    if (bits == nullptr && record->mask_id != 0) bits = cache_.Get(record->mask_id);
    if (bits == nullptr) {
      MaskView view = DrawMaskView(plan);
      if (record->mask_id != 0) {
        counters_.CountRegeneration();
        call.session->Recache(*call.layer.state, call.layer.record_key, record->mask_id, view.bits);
      }
      return view;
    }
    std::vector<double> scales;
    if (plan.action == Action::kBlock) scales = BlockScales(plan.blocks, *bits);
    return MakeMaskView(plan, std::move(bits), std::move(scales));
  }
  const LayerConfig& config = record.has_value() ? *record->config : call.config();
  if (IsSequential(config.generator)) {
    return StepNotFound(at,
                        " with this shape, and a sequential generator has no mask before its "
                        "Forward");
  }
  return DrawMaskView(plan);
}

}  // namespace dropoutd
