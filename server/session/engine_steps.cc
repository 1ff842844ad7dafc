// Forward, Backward and GetMask. Each takes what it needs under the session's lock, works
// on the tensor without it, and commits.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/base/status_macros.h"
#include "server/dropout/apply.h"
#include "server/session/engine.h"

namespace dropoutd {
namespace {

using SharedBits = std::shared_ptr<const PackedBits>;

// A step's key, if the call names a step.
std::optional<StepKey> KeyOf(const StepRef& at) {
  if (!at.step.has_value()) return std::nullopt;
  return StepKey{*at.step, at.sample_offset};
}

absl::Status StepRequired() {
  return MakeError(Reason::kStepRequired, "step: required by a layer in TRAIN");
}

absl::Status StepNotFound(const StepRef& at, const char* why) {
  return MakeError(Reason::kStepNotFound,
                   absl::StrCat("step: no record of step ", at.step.value_or(0),
                                " at sample_offset ", at.sample_offset, " of layer ",
                                Quote(at.layer_id), why));
}

SharedBits Share(PackedBits bits) { return std::make_shared<const PackedBits>(std::move(bits)); }

// A call's session, layer and place, gathered at its start.
struct Call {
  std::shared_ptr<Session> session;
  LayerSnapshot layer;
  std::optional<StepKey> key;
  Coordinates coordinates;

  // The plan of the step's record, for a tensor of `shape`.
  absl::StatusOr<Plan> RecordedPlan(const StepRecord& record, const Shape& shape) const {
    return MakePlan(*record.config, record.mode, record.p, coordinates, shape);
  }

  // The plan of the layer as it is now.
  absl::StatusOr<Plan> PresentPlan(const Shape& shape) const {
    return MakePlan(*layer.config, layer.mode, DropProbability(*layer.config), coordinates, shape);
  }
};

absl::StatusOr<Call> BeginCall(const SessionRegistry& registry, const StepRef& at) {
  DROPOUTD_ASSIGN_OR_RETURN(std::shared_ptr<Session> session, registry.Find(at.session_id));
  const std::optional<StepKey> key = KeyOf(at);
  DROPOUTD_ASSIGN_OR_RETURN(LayerSnapshot layer, session->Snapshot(at.layer_id, key));
  const Coordinates coordinates{session->seed(), at.step.value_or(0), at.sample_offset};
  return Call{std::move(session), std::move(layer), key, coordinates};
}

StepRecord MakeRecord(const LayerSnapshot& layer, const Plan& plan) {
  StepRecord record;
  record.config = layer.config;
  record.mode = layer.mode;
  record.p = DropProbability(*layer.config);
  record.shape = plan.layout.tensor;
  return record;
}

// A record's mask: from the record, the cache, or made again from its coordinates.
SharedBits BitsOf(const Call& call, const StepRecord& record, const Plan& plan, MaskCache& cache) {
  if (plan.action != Action::kMask) return nullptr;
  if (record.pinned != nullptr) return record.pinned;
  if (SharedBits cached = cache.Get(record.mask_id)) return cached;
  SharedBits drawn = Share(DrawBits(plan));
  call.session->Recache(*call.layer.state, *call.key, record.mask_id, drawn);
  return drawn;
}

// A mask may be larger than its tensor: an empty axis that is shared has size 1 in it.
absl::Status CheckMaskSize(const Plan& plan, const Limits& limits) {
  const auto bits = static_cast<std::size_t>(plan.layout.noise.ElementCount());
  if (bits / 8 <= limits.max_mask_bytes) return absl::OkStatus();
  return MakeError(Reason::kQuotaMessageBytes,
                   absl::StrCat("shape: ", plan.layout.tensor.ToString(), " has a mask of ", bits,
                                " bits, the most allowed is ", limits.max_mask_bytes * 8));
}

MaskView MakeMaskView(const Plan& plan, SharedBits bits) {
  if (bits == nullptr) bits = Share(KeepAllBits(plan));
  return {plan.layout.noise, plan.scale, std::move(bits)};
}

// A step whose mask came from the stream.
struct StreamStep {
  Plan plan;
  double p = 0.0;
  SharedBits bits;
};

bool CanReplay(const StepRecord& record, const Shape& shape) {
  return record.pinned != nullptr && record.shape == shape;
}

// The mask of a train Forward with a sequential generator: the step's own if it ran
// before with this shape, else drawn from the session's stream and recorded.
absl::StatusOr<StreamStep> TakeFromStream(Call& call, const StepRef& at, const Shape& shape,
                                          MaskCache& cache) {
  SharedStream& shared = call.session->stream();
  const std::lock_guard turn(shared.mutex);
  // The record is looked at again, because a call before this one in the stream may have been
  // a twin. Mode and options stay those that the call began with.
  DROPOUTD_ASSIGN_OR_RETURN(LayerSnapshot now, call.session->Snapshot(at.layer_id, call.key));
  if (now.state != call.layer.state) now.record.reset();  // Another layer took its name.
  call.layer.record = std::move(now.record);
  if (call.layer.record.has_value() && CanReplay(*call.layer.record, shape)) {
    const StepRecord& record = *call.layer.record;
    DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, call.RecordedPlan(record, shape));
    return StreamStep{plan, record.p, record.pinned};
  }
  const double p = DropProbability(*call.layer.config);
  DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, call.PresentPlan(shape));
  PackedBits bits(static_cast<std::size_t>(plan.layout.noise.ElementCount()));
  // Bytes first: making room may cost another step, which a call that fails must not do.
  DROPOUTD_RETURN_IF_ERROR(cache.Reserve(bits.byte_size()));
  if (const absl::Status room = call.session->MakeRoom(*call.layer.state, *call.key); !room.ok()) {
    cache.Unreserve(bits.byte_size());
    return room;
  }
  const SequentialNoise before = shared.noise;
  shared.noise.Draw(p, bits);
  StepRecord record = MakeRecord(call.layer, plan);
  record.pinned = Share(std::move(bits));
  const SharedBits pinned = record.pinned;
  const absl::Status committed = call.session->Commit(
      *call.layer.state, *call.key, std::move(record), nullptr, Session::IfPresent::kReplace);
  if (!committed.ok()) {
    // The layer went meanwhile: the stream must not have moved.
    shared.noise = before;
    cache.Unreserve(pinned->byte_size());
    return committed;
  }
  return StreamStep{plan, p, pinned};
}

}  // namespace

absl::StatusOr<ForwardOutcome> Engine::Forward(const StepRef& at, const TensorRef& input,
                                               void* output, bool return_mask) {
  DROPOUTD_ASSIGN_OR_RETURN(Call call, BeginCall(registry_, at));
  if (call.layer.mode == Mode::kTrain && !call.key.has_value()) return StepRequired();
  DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, call.PresentPlan(input.shape));
  if (plan.action == Action::kMask || return_mask) {
    DROPOUTD_RETURN_IF_ERROR(CheckMaskSize(plan, limits_));
  }
  ForwardOutcome outcome{call.layer.mode, DropProbability(*call.layer.config), std::nullopt};
  SharedBits bits;
  if (plan.action != Action::kMask) {
    if (call.key.has_value() && !call.layer.record.has_value()) {
      DROPOUTD_RETURN_IF_ERROR(call.session->Commit(*call.layer.state, *call.key,
                                                    MakeRecord(call.layer, plan), nullptr,
                                                    Session::IfPresent::kKeep));
    }
    Apply(plan, nullptr, input.dtype, input.data, output);
  } else if (IsSequential(call.layer.config->generator)) {
    DROPOUTD_ASSIGN_OR_RETURN(const StreamStep step,
                              TakeFromStream(call, at, input.shape, cache_));
    Apply(step.plan, step.bits.get(), input.dtype, input.data, output);
    outcome.p = step.p;
    if (return_mask) outcome.mask = MakeMaskView(step.plan, step.bits);
    return outcome;
  } else {
    bits = Share(DrawAndApply(plan, input.dtype, input.data, output));
    StepRecord record = MakeRecord(call.layer, plan);
    record.mask_id = cache_.NewId();
    DROPOUTD_RETURN_IF_ERROR(call.session->Commit(*call.layer.state, *call.key, std::move(record),
                                                  bits, Session::IfPresent::kReplace));
  }
  if (return_mask) outcome.mask = MakeMaskView(plan, bits);
  return outcome;
}

absl::Status Engine::Backward(const StepRef& at, const TensorRef& output_gradient,
                              void* input_gradient, bool release) {
  DROPOUTD_ASSIGN_OR_RETURN(const Call call, BeginCall(registry_, at));
  const std::optional<StepRecord>& record = call.layer.record;
  if (!record.has_value()) {
    if (call.layer.mode == Mode::kTrain) {
      if (!call.key.has_value()) return StepRequired();
      return StepNotFound(at, ": it never ran, or was released or evicted");
    }
    DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, call.PresentPlan(output_gradient.shape));
    Apply(plan, nullptr, output_gradient.dtype, output_gradient.data, input_gradient);
    return absl::OkStatus();
  }
  if (output_gradient.shape != record->shape) {
    return MakeError(Reason::kShapeMismatch,
                     absl::StrCat("output_gradient: shape ", output_gradient.shape.ToString(),
                                  ", must be the Forward's ", record->shape.ToString()));
  }
  DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, call.RecordedPlan(*record, record->shape));
  const SharedBits bits = BitsOf(call, *record, plan, cache_);
  Apply(plan, bits.get(), output_gradient.dtype, output_gradient.data, input_gradient);
  if (release) call.session->ReleaseStep(*call.layer.state, *call.key);
  return absl::OkStatus();
}

absl::StatusOr<MaskView> Engine::GetMask(const StepRef& at, const std::optional<Shape>& shape) {
  DROPOUTD_ASSIGN_OR_RETURN(const Call call, BeginCall(registry_, at));
  const std::optional<StepRecord>& record = call.layer.record;
  if (!call.key.has_value()) {
    if (call.layer.mode == Mode::kTrain) return StepRequired();
    if (!shape.has_value()) {
      return MakeError(Reason::kStepRequired, "step: required where no shape is given");
    }
  }
  if (!record.has_value() && !shape.has_value()) {
    return StepNotFound(at, "; give a shape to ask for a mask without a Forward");
  }
  const Shape& wanted = shape.has_value() ? *shape : record->shape;
  DROPOUTD_ASSIGN_OR_RETURN(const Plan plan, record.has_value()
                                                 ? call.RecordedPlan(*record, wanted)
                                                 : call.PresentPlan(wanted));
  DROPOUTD_RETURN_IF_ERROR(CheckMaskSize(plan, limits_));
  if (record.has_value() && wanted == record->shape) {
    return MakeMaskView(plan, BitsOf(call, *record, plan, cache_));
  }
  if (plan.action != Action::kMask) return MakeMaskView(plan, nullptr);
  const LayerConfig& config = record.has_value() ? *record->config : *call.layer.config;
  if (IsSequential(config.generator)) {
    return StepNotFound(at, " with this shape, and a sequential generator has no mask before its "
                            "Forward");
  }
  return MakeMaskView(plan, Share(DrawBits(plan)));
}

}  // namespace dropoutd
