// A layer's settings on the command line.
#ifndef DROPOUTD_CLIENT_CLI_LAYER_OPTIONS_H_
#define DROPOUTD_CLIENT_CLI_LAYER_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dropout/types.h"

namespace dropout::cli {

// What was given; the rest keeps its value.
struct LayerOptions {
  std::optional<double> p;
  std::optional<Generator> generator;
  std::optional<Scaling> scaling;
  std::optional<std::vector<std::int32_t>> broadcast_axes;
  std::optional<Mode> mode;
  std::string variant = "dropout";
};

// Adds --p, --generator, --scaling, --broadcast-axes, --mode and --variant. `options` must
// outlive the parsing.
void AddLayerOptions(CLI::App* app, LayerOptions* options);

// Sets in `layer` what was given. The layer must be of the variant dropout.
void Apply(const LayerOptions& options, Layer* layer);

// Reads "id,p=0.5,generator=numpy_legacy,scaling=none,broadcast_axes=1:2,mode=eval"; all but
// the id can be left out, in any order, each at most once. INVALID_ARGUMENT for other text.
absl::StatusOr<Layer> ParseLayer(absl::string_view text);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_LAYER_OPTIONS_H_
