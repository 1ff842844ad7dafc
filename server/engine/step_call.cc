#include "server/engine/step_call.h"

#include <utility>

#include "server/base/status_macros.h"

namespace dropoutd {

std::optional<StepKey> KeyOf(const StepRef& at) {
  if (!at.step.has_value()) return std::nullopt;
  return StepKey{*at.step, at.sample_offset, at.sequence_id.value_or(0)};
}

Call MakeCall(StepPlace place, const StepRef& at) {
  const Coordinates coordinates = {place.session->seed(), at.step.value_or(0), at.sample_offset,
                                   at.sequence_id.value_or(0)};
  return {std::move(place), coordinates};
}

absl::StatusOr<Call> BeginCall(Repository& repository, const StepRef& at, bool needs_record) {
  DROPOUTD_ASSIGN_OR_RETURN(
      StepPlace place, repository.FindStep(at.session_id, at.layer_id, KeyOf(at), needs_record));
  return MakeCall(std::move(place), at);
}

StepRecord MakeRecord(const LayerSnapshot& layer, const Plan& plan) {
  StepRecord record;
  record.config = layer.config();
  record.revision = layer.image->revision;
  record.mode = layer.mode();
  record.rate = plan.rate;
  record.shape = plan.layout.tensor;
  return record;
}

}  // namespace dropoutd
