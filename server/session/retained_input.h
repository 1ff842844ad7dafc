// Inputs of recent steps whose gradient needs them.
#ifndef DROPOUTD_SERVER_SESSION_RETAINED_INPUT_H_
#define DROPOUTD_SERVER_SESSION_RETAINED_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "server/dropout/data_type.h"
#include "server/dropout/parameters.h"
#include "server/session/session_image.h"
#include "server/session/step_cache.h"

namespace dropoutd {

// What the Backward of concrete and drop_connect needs besides the step's record: x, row-major,
// and the parameters that were in force.
struct RetainedInput {
  DataType dtype = DataType::kFloat32;
  // Not initialised: what a call only announces costs no memory until it comes.
  std::unique_ptr<std::byte[]> data;
  std::size_t data_size = 0;
  SharedParameters parameters;
  ParametersId parameters_id;  // None: the layer has none.

  std::size_t byte_size() const { return data_size + parameters->byte_size(); }
};

// Unlike masks these cannot be made again: a step whose input was evicted is lost.
using InputCache = StepCache<RetainedInput>;

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_RETAINED_INPUT_H_
