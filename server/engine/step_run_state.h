// What a StepRun holds; for the engine.
#ifndef DROPOUTD_SERVER_ENGINE_STEP_RUN_STATE_H_
#define DROPOUTD_SERVER_ENGINE_STEP_RUN_STATE_H_

#include <cstddef>
#include <memory>
#include <optional>

#include "server/engine/engine_counters.h"
#include "server/engine/step_call.h"
#include "server/engine/step_run.h"

namespace dropoutd {

struct StepRun::State {
  explicit State(EngineCounters& counters_in) : counters(counters_in) {}

  EngineCounters& counters;
  Call place;
  DataType dtype = DataType::kFloat32;  // Of the call's tensor.
  Plan plan;
  Shape output_shape;
  bool is_forward = true;
  std::size_t held_bytes = 0;
  SharedParameters parameters;  // In force at the Forward.

  std::optional<Pass> pass;  // Of elements; nothing for a linear layer, which has
  std::optional<LinearParameters> linear_parameters;  // those of its parameters.

  // Forward.
  bool return_mask = false;
  bool is_started = false;
  bool draws_from_stream = false;            // When it starts, which records the step too.
  std::optional<StepKey> step_key;           // As the call names it.
  std::optional<StepRecord> record;          // To be kept,
  std::unique_ptr<RecordWrite> write;        // on its way there; null until it starts.
  std::shared_ptr<RetainedInput> retaining;  // The input, while it comes in.

  // Backward.
  BackwardOptions options;
  std::shared_ptr<const RetainedInput> retained;
  std::optional<ConcreteGradient> concrete;
  std::optional<LinearGradients> linear;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_ENGINE_STEP_RUN_STATE_H_
