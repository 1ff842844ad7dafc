// What a StepRun holds; for the engine.
#ifndef DROPOUTD_SERVER_SESSION_STEP_RUN_STATE_H_
#define DROPOUTD_SERVER_SESSION_STEP_RUN_STATE_H_

#include <future>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "server/session/engine_counters.h"
#include "server/session/step_call.h"
#include "server/session/step_run.h"

namespace dropoutd {

struct StepRun::State {
  explicit State(EngineCounters& counters_in) : counters(counters_in) {}

  EngineCounters& counters;
  Call place;
  DataType dtype = DataType::kFloat32;  // Of the call's tensor.
  Plan plan;
  Shape output_shape;
  bool is_forward = true;
  SharedParameters parameters;  // In force at the Forward.

  std::optional<Pass> pass;  // Of elements; nothing for a linear layer, which has
  std::optional<LinearParameters> linear_parameters;  // those of its parameters.

  // Forward.
  bool return_mask = false;
  bool is_started = false;
  bool draws_from_stream = false;             // When it starts, which records the step too.
  std::optional<StepKey> step_key;            // As the call names it.
  std::optional<StepRecord> record;           // To be written, and
  std::future<absl::StatusOr<bool>> written;  // whether the store has; without one, not valid.
  std::shared_ptr<RetainedInput> retaining;   // The input, while it comes in.

  // Backward.
  BackwardOptions options;
  std::shared_ptr<const RetainedInput> retained;
  std::optional<ConcreteGradient> concrete;
  std::optional<LinearGradients> linear;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STEP_RUN_STATE_H_
