// forward, backward, release
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/elements.h"
#include "client/cli/enum_names.h"
#include "client/cli/files.h"
#include "client/cli/npy.h"
#include "client/cli/option_types.h"
#include "client/cli/progress.h"
#include "client/cli/step_options.h"
#include "client/cli/tensor_text.h"

namespace dropout::cli {
namespace {

struct TensorArguments {
  StepRef step;
  std::string input;
  std::string output;
  std::string mask_output;
  NpyOptions npy;
  BackwardOptions backward;
  std::map<std::string, std::string> gradient_outputs;  // Paths by the parameters' names.
};

struct ReleaseArguments {
  std::string session_id;
  std::string layer_id;
  std::optional<std::uint64_t> through_step;
};

std::optional<OutputFile> OpenOutput(const std::string& path) {
  if (path.empty()) return std::nullopt;
  return LocalResult(OutputFile::Open(path));
}

void Save(const Tensor& tensor, OutputFile* file) {
  CheckLocal(WriteNpy(tensor, file->file()));
  CheckLocal(file->Commit());
}

void Save(const Mask& mask, OutputFile* file) {
  CheckLocal(WriteMaskNpy(mask, file->file()));
  CheckLocal(file->Commit());
}

// A progress line for a call that sends and receives this tensor, if it is large.
std::unique_ptr<ProgressLine> ShowProgress(const std::string& operation, const Tensor& tensor) {
  if (tensor.data.size() < kProgressBytes) return nullptr;
  const double mebibytes = static_cast<double>(tensor.data.size()) / (1 << 20);
  return std::make_unique<ProgressLine>([=](std::chrono::duration<double> elapsed) {
    return absl::StrFormat("%s of %.0f MiB, %.1f s", operation, mebibytes, elapsed.count());
  });
}

std::string Describe(const Tensor& tensor) {
  return absl::StrCat(NameOf(tensor.dtype), " ", FormatShape(tensor.shape));
}

// The tensor, or the file that it went to.
Json OutputJson(const Tensor& tensor, const std::string& path) {
  if (path.empty()) return ToJson(tensor);
  return {{"dtype", NameOf(tensor.dtype)}, {"shape", tensor.shape}, {"file", path}};
}

// Prints the tensor, or where it went.
void PrintOutput(const Tensor& tensor, const std::string& path, const std::string& note) {
  if (path.empty()) {
    std::cout << FormatTensor(tensor) << '\n' << Describe(tensor) << note << '\n';
  } else {
    std::cout << "wrote " << path << ": " << Describe(tensor) << note << '\n';
  }
}

void Forward(Context& context, const TensorArguments& arguments) {
  const Tensor input = LocalResult(ReadNpyFile(arguments.input, arguments.npy));
  std::optional<OutputFile> output = OpenOutput(arguments.output);
  std::optional<OutputFile> mask_output = OpenOutput(arguments.mask_output);
  auto progress = ShowProgress("forward", input);
  const ForwardResult result =
      CallResult(context.client().Forward(arguments.step, input.View(), mask_output.has_value()));
  progress.reset();
  CheckCall(CheckTensor(result.output));
  if (output) Save(result.output, &*output);
  if (mask_output) {
    if (!result.mask.has_value()) CheckCall(absl::DataLossError("the server sent no mask"));
    CheckCall(CheckMask(*result.mask));
    Save(*result.mask, &*mask_output);
  }
  if (arguments.output == "-" || arguments.mask_output == "-") return;
  if (context.options.json) {
    Json json = {{"mode", NameOf(result.mode)},
                 {"p", result.p},
                 {"output", OutputJson(result.output, arguments.output)}};
    if (mask_output) json["mask"] = {{"file", arguments.mask_output}};
    context.PrintJson(json);
    return;
  }
  PrintOutput(result.output, arguments.output,
              absl::StrCat(", mode ", NameOf(result.mode), ", p ", result.p));
  if (mask_output) std::cout << "wrote " << arguments.mask_output << ": mask\n";
}

// Files for the gradients of parameters, by the parameters' names; opened before the call.
std::map<std::string, OutputFile> OpenGradientOutputs(
    const std::map<std::string, std::string>& paths) {
  std::map<std::string, OutputFile> files;
  for (const auto& [name, path] : paths) {
    files.emplace(name, LocalResult(OutputFile::Open(path)));
  }
  return files;
}

void SaveGradients(const std::vector<Parameter>& gradients,
                   std::map<std::string, OutputFile>* files) {
  for (auto& [name, file] : *files) {
    const auto gradient =
        std::find_if(gradients.begin(), gradients.end(),
                     [&name = name](const Parameter& each) { return each.name == name; });
    if (gradient == gradients.end()) {
      throw UsageError(absl::StrCat("the answer has no gradient of a parameter ", name));
    }
    Save(gradient->value, &file);
  }
}

void PrintBackward(const Context& context, const TensorArguments& arguments,
                   const BackwardResult& result) {
  const auto path_of = [&](const Parameter& parameter) {
    const auto path = arguments.gradient_outputs.find(parameter.name);
    return path == arguments.gradient_outputs.end() ? std::string() : path->second;
  };
  if (context.options.json) {
    Json parameters = Json::array();
    for (const Parameter& parameter : result.parameter_gradients) {
      parameters.push_back(
          {{"name", parameter.name}, {"value", OutputJson(parameter.value, path_of(parameter))}});
    }
    context.PrintJson({{"input_gradient", OutputJson(result.input_gradient, arguments.output)},
                       {"parameter_gradients", std::move(parameters)}});
    return;
  }
  PrintOutput(result.input_gradient, arguments.output, "");
  for (const Parameter& parameter : result.parameter_gradients) {
    if (path_of(parameter).empty()) std::cout << "gradient of " << parameter.name << ":\n";
    PrintOutput(parameter.value, path_of(parameter), "");
  }
}

void Backward(Context& context, const TensorArguments& arguments) {
  const Tensor gradient = LocalResult(ReadNpyFile(arguments.input, arguments.npy));
  std::optional<OutputFile> output = OpenOutput(arguments.output);
  std::map<std::string, OutputFile> gradient_outputs =
      OpenGradientOutputs(arguments.gradient_outputs);
  auto progress = ShowProgress("backward", gradient);
  const BackwardResult result =
      CallResult(context.client().Backward(arguments.step, gradient.View(), arguments.backward));
  progress.reset();
  CheckCall(CheckTensor(result.input_gradient));
  for (const Parameter& parameter : result.parameter_gradients) {
    CheckCall(CheckTensor(parameter.value));
  }
  if (output) Save(result.input_gradient, &*output);
  SaveGradients(result.parameter_gradients, &gradient_outputs);
  if (arguments.output != "-") PrintBackward(context, arguments, result);
}

void Release(Context& context, const ReleaseArguments& arguments) {
  const std::uint64_t count = CallResult(context.client().ReleaseSteps(
      arguments.session_id, arguments.layer_id, *arguments.through_step));
  if (context.options.json) {
    context.PrintJson({{"released_count", std::to_string(count)}});
  } else {
    std::cout << "released " << count << (count == 1 ? " step\n" : " steps\n");
  }
}

void AddInputOptions(CLI::App* command, const std::string& name, const std::string& help,
                     TensorArguments* arguments) {
  command
      ->add_option(
          name, arguments->input,
          help + ": a .npy file of float16, float32, float64 or bfloat16 (<V2); - is stdin")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--output", arguments->output,
                   "Where the result goes, as .npy; - is stdout (default: print it)")
      ->type_name("FILE");
  AddParsed(command, "--dtype", "bfloat16",
            "Take an input of 16-bit integers for the bits of bfloat16 numbers",
            [arguments](const std::string& text) {
              arguments->npy.integers_are_bfloat16 = text == "bfloat16";
              return text == "bfloat16"
                         ? absl::OkStatus()
                         : absl::InvalidArgumentError("\"" + text + "\" is not bfloat16");
            });
}

// Adds NAME=FILE to `paths`.
absl::Status ParseGradientOutput(const std::string& text,
                                 std::map<std::string, std::string>* paths) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not NAME=FILE"));
  }
  const std::string path = text.substr(equals + 1);
  if (path == "-") return absl::InvalidArgumentError("a parameter's gradient needs a file");
  if (!paths->emplace(text.substr(0, equals), path).second) {
    return absl::InvalidArgumentError(absl::StrCat(text.substr(0, equals), " is given twice"));
  }
  return absl::OkStatus();
}

void AddBackwardOptions(CLI::App* command, TensorArguments* arguments) {
  command->add_flag("--release", arguments->backward.release, "Forget the step afterwards");
  AddParsed(command, "--weight-squared-norm", "X",
            "Squared norm of the weights behind a concrete layer, for its weight regulariser",
            [arguments](const std::string& text) {
              return ParseNumber(text, &arguments->backward.weight_squared_norm.emplace());
            });
  command
      ->add_option_function<std::vector<std::string>>(
          "--gradient-output",
          [arguments](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              const absl::Status status = ParseGradientOutput(text, &arguments->gradient_outputs);
              if (!status.ok()) {
                throw CLI::ValidationError("--gradient-output", std::string(status.message()));
              }
            }
          },
          "Where the gradient of a parameter goes, as weight=dw.npy (default: print it); can be "
          "given again")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
}

void AddForward(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<TensorArguments>();
  CLI::App* command = app.add_subcommand("forward", "Run a tensor through a layer");
  AddStepOptions(command, &arguments->step)
      ->description("The training step, 0 to 2^64-1; required in train");
  AddInputOptions(command, "--input", "The tensor", arguments.get());
  command
      ->add_option("--mask-output", arguments->mask_output,
                   "Where the mask goes, as .npy of bool, true = kept; - is stdout")
      ->type_name("FILE");
  RunWhenParsed(command, context, [&context, arguments] {
    if (arguments->output == "-" && arguments->mask_output == "-") {
      throw UsageError("--output and --mask-output cannot both be stdout");
    }
    Forward(context, *arguments);
  });
}

void AddBackward(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<TensorArguments>();
  CLI::App* command =
      app.add_subcommand("backward", "Run a gradient back through the mask of a step");
  AddStepOptions(command, &arguments->step)->required();
  AddInputOptions(command, "--gradient", "The gradient with respect to the output",
                  arguments.get());
  AddBackwardOptions(command, arguments.get());
  RunWhenParsed(command, context, [&context, arguments] { Backward(context, *arguments); });
}

void AddRelease(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ReleaseArguments>();
  CLI::App* command = app.add_subcommand("release", "Forget steps and their masks");
  command->add_option("session", arguments->session_id, "The session's id")
      ->required()
      ->type_name("");
  AddInteger(command, "--through-step", &arguments->through_step,
             "The last step to forget; those before it go too")
      ->required();
  command->add_option("--layer", arguments->layer_id, "Only this layer's (default: all layers)")
      ->type_name("LAYER");
  RunWhenParsed(command, context, [&context, arguments] { Release(context, *arguments); });
}

}  // namespace

void AddTensorCommands(CLI::App& app, Context& context) {
  AddForward(app, context);
  AddBackward(app, context);
  AddRelease(app, context);
}

}  // namespace dropout::cli
