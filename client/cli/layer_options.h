// A layer's settings on the command line.
#ifndef DROPOUTD_CLIENT_CLI_LAYER_OPTIONS_H_
#define DROPOUTD_CLIENT_CLI_LAYER_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dropout/types.h"

namespace dropout::cli {

// What was given; the rest keeps its value.
struct LayerOptions {
  std::optional<double> p;
  std::optional<Generator> generator;
  std::optional<Scaling> scaling;
  std::optional<std::optional<Schedule>> schedule;  // An empty one: none.
  std::optional<Mode> mode;
  std::optional<std::string> variant;             // One of VariantNames().
  std::map<std::string, std::string> of_variant;  // The variant's fields by SettingName.
};

// Adds --p, --generator, --scaling, --schedule, --mode, --variant and an option for each field of
// any variant. `options` must outlive the parsing.
void AddLayerOptions(CLI::App* app, LayerOptions* options);

// Sets in `layer` what was given. A variant other than the layer's starts from its defaults.
// INVALID_ARGUMENT for a field that the variant does not have, or a value that it cannot have.
absl::Status Apply(const LayerOptions& options, Layer* layer);

// INVALID_ARGUMENT for a new layer with neither p nor a schedule, unless it learns p (concrete);
// `how` says how to give p.
absl::Status CheckP(const Layer& layer, absl::string_view how);

// Reads "id,p=0.5,generator=numpy_legacy,scaling=none,broadcast_axes=1:2,mode=eval" or
// "id,variant=drop_block,block_size=7,schedule=linear:0:0.5:0:1000"; all but the id, and p or
// schedule, can be left out, in any order, each at most once. INVALID_ARGUMENT for other text.
absl::StatusOr<Layer> ParseLayer(absl::string_view text);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_LAYER_OPTIONS_H_
