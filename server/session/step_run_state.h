// What a StepRun holds; for the engine.
#ifndef DROPOUTD_SERVER_SESSION_STEP_RUN_STATE_H_
#define DROPOUTD_SERVER_SESSION_STEP_RUN_STATE_H_

#include <memory>
#include <optional>

#include "server/session/step_run.h"

namespace dropoutd {

struct StepRun::State {
  std::shared_ptr<Session> session;
  LayerSnapshot layer;
  DataType dtype = DataType::kFloat32;  // Of the call's tensor.
  Plan plan;
  Shape output_shape;
  bool is_forward = true;
  SharedParameters parameters;  // In force at the Forward.

  std::optional<Pass> pass;  // Of elements; nothing for a linear layer.

  // Forward.
  bool return_mask = false;
  bool is_recorded = false;                 // By a sequential generator's draw.
  std::shared_ptr<RetainedInput> retaining;  // The input, while it comes in.

  // Backward.
  BackwardOptions options;
  std::shared_ptr<const RetainedInput> retained;
  std::optional<ConcreteGradient> concrete;
  std::optional<LinearGradients> linear;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STEP_RUN_STATE_H_
