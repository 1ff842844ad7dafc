#include "client/cli/step_options.h"

#include "client/cli/option_types.h"

namespace dropout::cli {

CLI::Option* AddStepOptions(CLI::App* command, StepRef* step) {
  command->add_option("session", step->session_id, "The session's id")->required()->type_name("");
  command->add_option("layer", step->layer_id, "The layer's id")->required()->type_name("");
  CLI::Option* step_option =
      AddInteger(command, "--step", &step->step, "The training step, 0 to 2^64-1");
  AddInteger(command, "--sample-offset", &step->sample_offset,
             "Index in the whole batch of the tensor's first sample, 0 or more (default 0)");
  AddInteger(command, "--sequence", &step->sequence_id,
             "Key of a layer whose mask is shared by a sequence, 0 to 2^64-1 (default: none)");
  return step_option;
}

}  // namespace dropout::cli
