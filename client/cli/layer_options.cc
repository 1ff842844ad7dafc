#include "client/cli/layer_options.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/cli/field_text.h"
#include "client/cli/option_types.h"
#include "client/cli/variant_fields.h"
#include "client/convert.h"

namespace dropout::cli {
namespace {

// An option for a field of one or more variants.
struct FieldOption {
  const char* name;  // Its SettingName.
  const char* type_name;
  const char* help;
};

// A test checks that every field of every variant is here.
constexpr FieldOption kFieldOptions[] = {
    {"broadcast_axes", "N,N,...",
     "dropout, gaussian: axes on which one draw is shared, each in [-8, 7] (default none)"},
    {"channel_axis", "N",
     "feature_alpha, spatial, drop_block: the channel axis, -1 for channels-last (default 1)"},
    {"block_size", "N,N,...", "drop_block: one number, or one for each spatial axis (default 7)"},
    {"gamma", "exact|paper", "drop_block: how the rate of seeds follows from p (default exact)"},
    {"normalization", "sample|batch",
     "drop_block: what the rescaling is computed over (default sample)"},
    {"share_channels", "true|false",
     "drop_block: whether the channels of a sample share one map (default false)"},
    {"temperature", "T", "concrete: above 0 (default 0.1, or 2/3 when spatial)"},
    {"weight_regularizer", "X", "concrete: 0 or more (default 0)"},
    {"dropout_regularizer", "X", "concrete: 0 or more (default 0)"},
    {"spatial", "true|false", "concrete: one draw a (sample, channel) (default false)"},
    {"in_features", "N", "drop_connect: columns of the weight"},
    {"out_features", "N", "drop_connect: rows of the weight"},
    {"bias", "true|false", "drop_connect: whether there is a bias (default true)"},
    {"mask_scope", "sample|batch|sequence|step",
     "drop_connect: sample (default) or batch; recurrent: sequence (default) or step"},
    {"target", "linear|weights",
     "drop_connect: what the input tensor is, activations or the weights (default linear)"},
    {"time_axis", "N", "variational: the time axis of a tensor of several steps (default none)"},
    {"depth_mode", "row|batch", "stochastic_depth: what is kept or skipped at once (default row)"},
    {"depth_index", "N", "stochastic_depth: index of the branch, 1 to --depth-count"},
    {"depth_count", "N", "stochastic_depth: number of branches; p applied is p * index / count"},
};

std::string VariantChoice() { return absl::StrJoin(VariantNames(), "|"); }

absl::Status ParseOptionalSchedule(absl::string_view text,
                                   std::optional<std::optional<Schedule>>* value) {
  value->emplace();
  if (text == "none") return absl::OkStatus();
  return ParseSchedule(text, &(*value)->emplace());
}

absl::Status ParseVariant(absl::string_view text, std::optional<std::string>* value) {
  *value = std::string(text);
  if (MakeVariant(text).has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not one of ", VariantChoice()));
}

absl::Status ParseSetting(absl::string_view key, absl::string_view value, LayerOptions* options) {
  if (key == "p") return ParseNumber(value, &options->p.emplace());
  if (key == "generator") return ParseEnum(value, &options->generator.emplace());
  if (key == "scaling") return ParseEnum(value, &options->scaling.emplace());
  if (key == "mode") return ParseEnum(value, &options->mode.emplace());
  if (key == "schedule") return ParseOptionalSchedule(value, &options->schedule);
  if (key == "variant") return ParseVariant(value, &options->variant);
  options->of_variant.emplace(key, value);
  return absl::OkStatus();
}

absl::Status ApplyField(const std::string& name, const std::string& text, Variant* variant) {
  std::vector<std::string> known;
  std::optional<absl::Status> status;
  VisitFieldsOf(*variant, [&](absl::string_view field, auto& value) {
    known.emplace_back(SettingName(field));
    if (known.back() == name) status = ParseField(text, &value);
  });
  if (!status.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is not an option of ", NameOf(*variant), ", which has ",
                     known.empty() ? "none of its own" : absl::StrJoin(known, ", ")));
  }
  if (status->ok()) return *status;
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", status->message()));
}

}  // namespace

void AddLayerOptions(CLI::App* app, LayerOptions* options) {
  AddParsed(
      app, "--p", "P", "Probability that an element is dropped, in [0, 1)",
      [options](const std::string& text) { return ParseNumber(text, &options->p.emplace()); });
  AddEnum(app, "--generator", &options->generator, "Source of random bits (default philox)");
  AddEnum(app, "--scaling", &options->scaling,
          "What kept elements are multiplied by (default inverted: 1/(1-p) in train)");
  AddParsed(app, "--schedule", "SCHEDULE",
            "p as a function of the step: linear:START_P:END_P:START_STEP:END_STEP, cosine: and "
            "the same, curriculum:END_P:GAMMA, piecewise:P:STEP:P... or none (default none)",
            [options](const std::string& text) {
              return ParseOptionalSchedule(text, &options->schedule);
            });
  AddEnum(app, "--mode", &options->mode, "The layer's mode (default: the session's)");
  AddParsed(app, "--variant", VariantChoice(), "Kind of dropout (default dropout)",
            [options](const std::string& text) { return ParseVariant(text, &options->variant); });
  for (const FieldOption& field : kFieldOptions) {
    const std::string name = field.name;
    AddParsed(app, absl::StrCat("--", absl::StrReplaceAll(name, {{"_", "-"}})), field.type_name,
              field.help, [options, name](const std::string& text) {
                options->of_variant[name] = text;
                return absl::OkStatus();
              });
  }
}

absl::Status Apply(const LayerOptions& options, Layer* layer) {
  if (options.p) layer->p = *options.p;
  if (options.generator) layer->generator = *options.generator;
  if (options.scaling) layer->scaling = *options.scaling;
  if (options.schedule) layer->schedule = *options.schedule;
  if (options.mode) layer->mode = *options.mode;
  if (options.variant && *options.variant != NameOf(layer->variant)) {
    layer->variant = MakeVariant(*options.variant).value();
  }
  for (const auto& [name, text] : options.of_variant) {
    const absl::Status status = ApplyField(name, text, &layer->variant);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckP(const Layer& layer, absl::string_view how) {
  if (PToSend(layer, "p").ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("p: not given for layer \"", layer.layer_id, "\": give it with ", how));
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
  absl::Status status = Apply(options, &layer);
  if (status.ok()) {
    status = CheckP(layer,
                    absl::StrCat("\"", layer.layer_id,
                                 ",p=0.5\", the probability that an element is dropped, in [0, 1), "
                                 "or with schedule=SCHEDULE"));
  }
  if (!status.ok()) return status;
  return layer;
}

}  // namespace dropout::cli
