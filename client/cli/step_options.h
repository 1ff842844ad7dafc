// The arguments that name a Forward: session, layer, step and place in the batch.
#ifndef DROPOUTD_CLIENT_CLI_STEP_OPTIONS_H_
#define DROPOUTD_CLIENT_CLI_STEP_OPTIONS_H_

#include <CLI/CLI.hpp>

#include "dropout/types.h"

namespace dropout::cli {

// Adds SESSION, LAYER, --step, --sample-offset and --sequence; `step` must outlive the
// parsing. Returns --step.
CLI::Option* AddStepOptions(CLI::App* command, StepRef* step);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_STEP_OPTIONS_H_
