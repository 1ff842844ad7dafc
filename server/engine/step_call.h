// A call on a step of a layer: what it names, and what it found.
#ifndef DROPOUTD_SERVER_ENGINE_STEP_CALL_H_
#define DROPOUTD_SERVER_ENGINE_STEP_CALL_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/dropout/plan.h"
#include "server/persistence/repository.h"
#include "server/session/step_record.h"

namespace dropoutd {

// Which step of which layer a call is about. session_id is the session's key (session_key.h).
struct StepRef {
  std::string_view session_id;
  std::string_view layer_id;
  std::optional<std::uint64_t> step;
  std::int64_t sample_offset = 0;
  std::optional<std::uint64_t> sequence_id = {};
};

// A step's key, if the call names a step.
std::optional<StepKey> KeyOf(const StepRef& at);

// A call's session, layer and place, gathered at its start.
struct Call : StepPlace {
  Coordinates coordinates;

  const LayerConfig& config() const { return *layer.config(); }
  DropRate PresentRate() const {
    const auto step = layer.key.has_value() ? std::optional(layer.key->step) : std::nullopt;
    return RateAt(config(), step, *layer.parameters);
  }

  // The plan of the step's record, for a tensor of `shape`.
  absl::StatusOr<Plan> RecordedPlan(const StepRecord& record, const Shape& shape) const {
    return MakePlan(*record.config, record.mode, record.rate, coordinates, shape);
  }

  // The plan of the layer as it is now.
  absl::StatusOr<Plan> PresentPlan(const Shape& shape) const {
    return MakePlan(config(), layer.mode(), PresentRate(), coordinates, shape);
  }
};

Call MakeCall(StepPlace place, const StepRef& at);

// Repository::FindStep's errors.
absl::StatusOr<Call> BeginCall(Repository& repository, const StepRef& at, bool needs_record);

// The record of a Forward with the layer as the snapshot has it.
StepRecord MakeRecord(const LayerSnapshot& layer, const Plan& plan);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_ENGINE_STEP_CALL_H_
