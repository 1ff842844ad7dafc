// parameters set|get
#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/elements.h"
#include "client/cli/enum_names.h"
#include "client/cli/files.h"
#include "client/cli/npy.h"
#include "client/cli/tensor_text.h"

namespace dropout::cli {
namespace {

struct ParameterArguments {
  std::string session_id;
  std::string layer_id;
  std::vector<std::string> settings;  // set: "NAME=FILE"
  std::string name;                   // get
  std::string output;                 // get
};

Parameter ReadParameter(const std::string& setting) {
  const std::size_t equals = setting.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw UsageError(absl::StrCat("\"", setting, "\" is not NAME=FILE"));
  }
  return {setting.substr(0, equals), LocalResult(ReadNpyFile(setting.substr(equals + 1)))};
}

void Set(Context& context, const ParameterArguments& arguments) {
  std::vector<Parameter> parameters;
  for (const std::string& setting : arguments.settings) {
    parameters.push_back(ReadParameter(setting));
  }
  CheckCall(context.client().SetParameters(arguments.session_id, arguments.layer_id, parameters));
  context.PrintDone(absl::StrCat("set ", parameters.size(),
                                 parameters.size() == 1 ? " parameter" : " parameters"));
}

std::vector<Parameter> Selected(std::vector<Parameter> parameters, const std::string& name) {
  for (const Parameter& parameter : parameters) CheckCall(CheckTensor(parameter.value));
  if (name.empty()) return parameters;
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const Parameter& each) { return each.name == name; });
  if (found == parameters.end()) {
    throw UsageError(absl::StrCat("the layer has no parameter ", name));
  }
  return {std::move(*found)};
}

void Print(const Context& context, const std::vector<Parameter>& parameters) {
  Json list = Json::array();
  for (const Parameter& parameter : parameters) {
    if (context.options.json) {
      list.push_back({{"name", parameter.name}, {"value", ToJson(parameter.value)}});
    } else {
      std::cout << parameter.name << ": " << NameOf(parameter.value.dtype) << ' '
                << FormatShape(parameter.value.shape) << '\n'
                << FormatTensor(parameter.value) << '\n';
    }
  }
  if (context.options.json) context.PrintJson({{"parameters", std::move(list)}});
}

void Get(Context& context, const ParameterArguments& arguments) {
  if (!arguments.output.empty() && arguments.name.empty()) {
    throw UsageError("--output takes one parameter: name it");
  }
  std::optional<OutputFile> output;
  if (!arguments.output.empty()) output.emplace(LocalResult(OutputFile::Open(arguments.output)));
  const std::vector<Parameter> parameters =
      Selected(CallResult(context.client().GetParameters(arguments.session_id, arguments.layer_id)),
               arguments.name);
  if (!output) {
    Print(context, parameters);
    return;
  }
  CheckLocal(WriteNpy(parameters[0].value, output->file()));
  CheckLocal(output->Commit());
  if (arguments.output != "-") context.PrintDone("wrote " + arguments.output);
}

void AddLayerArguments(CLI::App* command, ParameterArguments* arguments) {
  command->add_option("session", arguments->session_id, "The session's id")
      ->required()
      ->type_name("");
  command->add_option("layer", arguments->layer_id, "The layer's id")->required()->type_name("");
}

}  // namespace

void AddParameterCommands(CLI::App& app, Context& context) {
  CLI::App* group =
      app.add_subcommand("parameters", "Set and show parameters that the server holds for a layer");
  group->require_subcommand(1);

  const auto set = std::make_shared<ParameterArguments>();
  CLI::App* set_command = group->add_subcommand("set", "Set parameters from .npy files");
  AddLayerArguments(set_command, set.get());
  set_command
      ->add_option("parameters", set->settings, "NAME=FILE, a .npy file for each; - is stdin")
      ->required()
      ->type_name("");
  RunWhenParsed(set_command, context, [&context, set] { Set(context, *set); });

  const auto get = std::make_shared<ParameterArguments>();
  CLI::App* get_command = group->add_subcommand("get", "Print parameters");
  AddLayerArguments(get_command, get.get());
  get_command->add_option("name", get->name, "Only this parameter (default: all)")->type_name("");
  get_command
      ->add_option("--output", get->output,
                   "Where the named parameter goes, as .npy; - is stdout (default: print it)")
      ->type_name("FILE");
  RunWhenParsed(get_command, context, [&context, get] { Get(context, *get); });
}

}  // namespace dropout::cli
