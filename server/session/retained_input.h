// Inputs of recent steps whose gradient needs them.
#ifndef DROPOUTD_SERVER_SESSION_RETAINED_INPUT_H_
#define DROPOUTD_SERVER_SESSION_RETAINED_INPUT_H_

#include <cstddef>
#include <vector>

#include "server/dropout/data_type.h"
#include "server/dropout/parameters.h"
#include "server/session/step_cache.h"

namespace dropoutd {

// What the Backward of concrete and drop_connect needs besides the step's record: x, row-major,
// and the parameters that were in force.
struct RetainedInput {
  DataType dtype = DataType::kFloat32;
  std::vector<std::byte> data;
  SharedParameters parameters;

  std::size_t byte_size() const { return data.size() + parameters->byte_size(); }
};

// Unlike masks these cannot be made again: a step whose input was evicted is lost.
using InputCache = StepCache<RetainedInput>;

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_RETAINED_INPUT_H_
