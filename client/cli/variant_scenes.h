// What each variant does, shown on small tensors by a server.
#ifndef DROPOUTD_CLIENT_CLI_VARIANT_SCENES_H_
#define DROPOUTD_CLIENT_CLI_VARIANT_SCENES_H_

#include <string>
#include <utility>
#include <vector>

#include "client/cli/panel.h"
#include "dropout/client.h"

namespace dropout::cli {

struct Scene {
  std::string formula;
  std::string look;  // What to see in the panels.
  std::vector<Panel> panels;
  std::vector<std::pair<std::string, double>> facts;  // Measured: what, and its value.
};

// The scene of the variant called `name`, one of VariantNames(). Makes sessions of a fixed seed and
// deletes them: the same server version shows the same scene. Throws CallError.
Scene ShowVariant(Client& client, const std::string& name);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_VARIANT_SCENES_H_
