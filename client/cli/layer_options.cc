#include "client/cli/layer_options.h"

#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/option_types.h"

namespace dropout::cli {
namespace {

absl::Status ParseSetting(absl::string_view key, absl::string_view value, LayerOptions* options) {
  if (key == "p") return ParseNumber(value, &options->p.emplace());
  if (key == "generator") return ParseEnum(value, &options->generator.emplace());
  if (key == "scaling") return ParseEnum(value, &options->scaling.emplace());
  if (key == "mode") return ParseEnum(value, &options->mode.emplace());
  if (key == "broadcast_axes") return ParseAxes(value, ':', &options->broadcast_axes.emplace());
  return absl::InvalidArgumentError(
      absl::StrCat("\"", key, "\" is not one of p, generator, scaling, broadcast_axes and mode"));
}

}  // namespace

void AddLayerOptions(CLI::App* app, LayerOptions* options) {
  AddParsed(
      app, "--p", "P", "Probability that an element is dropped, in [0, 1) (default 0)",
      [options](const std::string& text) { return ParseNumber(text, &options->p.emplace()); });
  AddEnum(app, "--generator", &options->generator, "Source of random bits (default philox)");
  AddEnum(app, "--scaling", &options->scaling,
          "What kept elements are multiplied by (default inverted: 1/(1-p) in train)");
  AddParsed(app, "--broadcast-axes", "N,N,...",
            "Axes on which one draw is shared, each in [-8, 7]; none for none (default none)",
            [options](const std::string& text) {
              return ParseAxes(text, ',', &options->broadcast_axes.emplace());
            });
  AddEnum(app, "--mode", &options->mode, "The layer's mode (default: the session's)");
  app->add_option("--variant", options->variant, "Kind of dropout (default dropout)")
      ->type_name("dropout")
      ->check(CLI::IsMember({"dropout"}).description(""));
}

void Apply(const LayerOptions& options, Layer* layer) {
  if (options.p) layer->p = *options.p;
  if (options.generator) layer->generator = *options.generator;
  if (options.scaling) layer->scaling = *options.scaling;
  if (options.mode) layer->mode = *options.mode;
  if (options.broadcast_axes) {
    std::get<Dropout>(layer->variant).broadcast_axes = *options.broadcast_axes;
  }
}

absl::StatusOr<Layer> ParseLayer(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ',');
  Layer layer;
  layer.layer_id = std::string(parts[0]);
  LayerOptions options;
  std::set<absl::string_view> keys;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> setting =
        absl::StrSplit(parts[i], absl::MaxSplits('=', 1));
    if (!keys.insert(setting.first).second) {
      return absl::InvalidArgumentError(absl::StrCat(setting.first, " is given twice"));
    }
    absl::Status status = ParseSetting(setting.first, setting.second, &options);
    if (!status.ok()) return status;
  }
  Apply(options, &layer);
  return layer;
}

}  // namespace dropout::cli
