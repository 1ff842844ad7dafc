// Layers as a table.
#ifndef DROPOUTD_CLIENT_CLI_LAYER_TABLE_H_
#define DROPOUTD_CLIENT_CLI_LAYER_TABLE_H_

#include <ostream>
#include <vector>

#include "dropout/types.h"

namespace dropout::cli {

// The column P has the schedule where there is one.
void PrintLayers(std::ostream& out, const std::vector<Layer>& layers);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_LAYER_TABLE_H_
