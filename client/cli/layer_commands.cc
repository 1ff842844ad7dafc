// layer create|get|list|update|delete, and mode
#include <algorithm>
#include <iostream>
#include <memory>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/enum_names.h"
#include "client/cli/layer_options.h"
#include "client/cli/layer_table.h"
#include "client/cli/option_types.h"

namespace dropout::cli {
namespace {

constexpr char kHowToGiveP[] =
    "--p P, the probability that an element is dropped, in [0, 1), or with --schedule SCHEDULE";

struct LayerArguments {
  std::string session_id;
  std::string layer_id;
  LayerOptions layer;
};

struct ModeArguments {
  std::string session_id;
  std::string mode;
  std::vector<std::string> layer_ids;
};

void PrintLayer(const Context& context, const Layer& layer) {
  if (context.options.json) {
    context.PrintJson(ToJson(layer));
  } else {
    PrintLayers(std::cout, {layer});
  }
}

// The layer as the session has it; throws CallError if it has none of that id.
Layer FindLayer(Context& context, const std::string& session_id, const std::string& layer_id) {
  Session session = CallResult(context.client().GetSession(session_id));
  const auto layer = std::find_if(session.layers.begin(), session.layers.end(),
                                  [&](const Layer& each) { return each.layer_id == layer_id; });
  if (layer == session.layers.end()) {
    throw CallError("NOT_FOUND", "LAYER_NOT_FOUND",
                    absl::StrCat("layer_id \"", layer_id, "\" is not in the session"));
  }
  return std::move(*layer);
}

void Create(Context& context, const LayerArguments& arguments) {
  Layer layer;
  layer.layer_id = arguments.layer_id;
  CheckLocal(Apply(arguments.layer, &layer));
  CheckLocal(CheckP(layer, kHowToGiveP));
  PrintLayer(context, CallResult(context.client().CreateLayer(arguments.session_id, layer)));
}

void Update(Context& context, const LayerArguments& arguments) {
  Layer layer = FindLayer(context, arguments.session_id, arguments.layer_id);
  // What this program cannot read it would lose on the way back.
  if (std::holds_alternative<std::monostate>(layer.variant) ||
      (layer.schedule && std::holds_alternative<std::monostate>(*layer.schedule))) {
    throw UsageError(absl::StrCat("layer ", layer.layer_id,
                                  " is of a variant or schedule that this program does not know; "
                                  "\"call UpdateLayer\" can change it"));
  }
  const bool had_schedule = layer.schedule.has_value();
  CheckLocal(Apply(arguments.layer, &layer));
  // Under its schedule the layer may never have been given a p.
  if (had_schedule && !layer.schedule && !arguments.layer.p && layer.p == 0.0) {
    std::cerr << "warning: layer " << layer.layer_id
              << " has no schedule now and p 0: it drops nothing; --p gives it a p\n";
  }
  PrintLayer(context, CallResult(context.client().UpdateLayer(arguments.session_id, layer)));
}

void List(Context& context, const std::string& session_id) {
  const Session session = CallResult(context.client().GetSession(session_id));
  if (!context.options.json) {
    PrintLayers(std::cout, session.layers);
    return;
  }
  Json layers = Json::array();
  for (const Layer& layer : session.layers) layers.push_back(ToJson(layer));
  context.PrintJson({{"layers", std::move(layers)}});
}

void Delete(Context& context, const LayerArguments& arguments) {
  CheckCall(context.client().DeleteLayer(arguments.session_id, arguments.layer_id));
  context.PrintDone("deleted layer " + arguments.layer_id);
}

void SetMode(Context& context, const ModeArguments& arguments) {
  Mode mode;
  CheckLocal(ParseEnum(arguments.mode, &mode));
  const std::vector<std::string> layer_ids =
      CallResult(context.client().SetMode(arguments.session_id, mode, arguments.layer_ids));
  if (context.options.json) {
    context.PrintJson({{"layer_ids", layer_ids}, {"mode", NameOf(mode)}});
    return;
  }
  std::cout << NameOf(mode) << ": "
            << (layer_ids.empty() ? "no layers yet" : absl::StrJoin(layer_ids, ", ")) << '\n';
}

CLI::App* AddOneLayerCommand(CLI::App* group, const std::string& name, const std::string& help,
                             LayerArguments* arguments) {
  CLI::App* command = group->add_subcommand(name, help);
  command->add_option("session", arguments->session_id, "The session's id")
      ->required()
      ->type_name("");
  command->add_option("layer", arguments->layer_id, "The layer's id, 1 to 128 bytes")
      ->required()
      ->type_name("");
  return command;
}

// Adds a command on one layer; run(context, arguments) does the work.
template <typename Run>
void AddLayerCommand(CLI::App* group, Context& context, const std::string& name,
                     const std::string& help, bool with_options, Run run) {
  const auto arguments = std::make_shared<LayerArguments>();
  CLI::App* command = AddOneLayerCommand(group, name, help, arguments.get());
  if (with_options) AddLayerOptions(command, &arguments->layer);
  RunWhenParsed(command, context, [&context, arguments, run] { run(context, *arguments); });
}

void AddList(CLI::App* group, Context& context) {
  const auto id = std::make_shared<std::string>();
  CLI::App* command = group->add_subcommand("list", "List the layers of a session by id");
  command->add_option("session", *id, "The session's id")->required()->type_name("");
  RunWhenParsed(command, context, [&context, id] { List(context, *id); });
}

void AddMode(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ModeArguments>();
  CLI::App* command = app.add_subcommand("mode", "Switch layers to train or eval");
  command->add_option("session", arguments->session_id, "The session's id")
      ->required()
      ->type_name("");
  command->add_option("mode", arguments->mode, "train or eval")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"train", "eval"}).description(""));
  command
      ->add_option("layers", arguments->layer_ids,
                   "The layers to switch (default: all, and the session's mode for later ones)")
      ->type_name("");
  RunWhenParsed(command, context, [&context, arguments] { SetMode(context, *arguments); });
}

}  // namespace

void AddLayerCommands(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("layer", "Make, show, list, change and delete layers");
  group->require_subcommand(1);
  AddLayerCommand(group, context, "create",
                  "Make a layer and print it; it needs --p or --schedule, or the variant concrete, "
                  "which learns p from 0.1 on",
                  true, Create);
  AddLayerCommand(group, context, "get", "Print a layer", false,
                  [](Context& c, const LayerArguments& arguments) {
                    PrintLayer(c, FindLayer(c, arguments.session_id, arguments.layer_id));
                  });
  AddList(group, context);
  AddLayerCommand(group, context, "update",
                  "Change a layer and print it; what is not given keeps its present value", true,
                  Update);
  AddLayerCommand(group, context, "delete", "Delete a layer with its steps and masks", false,
                  Delete);
  AddMode(app, context);
}

}  // namespace dropout::cli
