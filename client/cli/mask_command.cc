// mask
#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/elements.h"
#include "client/cli/files.h"
#include "client/cli/mask_grid.h"
#include "client/cli/npy.h"
#include "client/cli/option_types.h"
#include "client/cli/picture.h"
#include "client/cli/png_writer.h"
#include "client/cli/step_options.h"
#include "client/cli/tensor_text.h"

namespace dropout::cli {
namespace {

struct MaskArguments {
  StepRef step;
  std::vector<std::int64_t> shape;
  std::string output;
  std::string png;
  bool ascii = false;
};

std::string ScaleText(const Mask& mask) {
  if (mask.sample_scales.empty()) return absl::StrCat("scale ", mask.scale);
  const auto [low, high] =
      std::minmax_element(mask.sample_scales.begin(), mask.sample_scales.end());
  return absl::StrCat("scale by sample ", *low, " to ", *high);
}

void PrintMask(const Mask& mask, bool ascii) {
  if (mask.multipliers.has_value()) {
    std::cout << FormatTensor(*mask.multipliers) << '\n'
              << "multipliers " << FormatShape(mask.multipliers->shape) << '\n';
    return;
  }
  const MaskGrid grid(mask);
  std::cout << DrawMask(grid, CurrentTerminalSize(), ascii || !LocaleIsUtf8())
            << absl::StrFormat("mask %s: kept %d of %d (%.1f %%), %s\n", FormatShape(mask.shape),
                               grid.KeptCount(), grid.size(), 100 * grid.KeptShare(),
                               ScaleText(mask));
}

void SavePng(const Mask& mask, OutputFile* file) {
  CheckLocal(WritePng(MaskGrid(mask), file->file()));
  CheckLocal(file->Commit());
}

void ShowMask(Context& context, const MaskArguments& arguments) {
  std::optional<OutputFile> output;
  std::optional<OutputFile> png;
  if (!arguments.output.empty()) output.emplace(LocalResult(OutputFile::Open(arguments.output)));
  if (!arguments.png.empty()) png.emplace(LocalResult(OutputFile::Open(arguments.png)));
  const Mask mask = CallResult(context.client().GetMask(arguments.step, arguments.shape));
  CheckCall(CheckMask(mask));
  if (png) SavePng(mask, &*png);
  if (output) {
    CheckLocal(WriteMaskNpy(mask, output->file()));
    CheckLocal(output->Commit());
  }
  if (arguments.output == "-" || arguments.png == "-") return;
  if (context.options.json) {
    context.PrintJson(ToJson(mask));
  } else {
    PrintMask(mask, arguments.ascii);
  }
}

}  // namespace

void AddMaskCommand(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<MaskArguments>();
  CLI::App* command = app.add_subcommand("mask", "Show the mask of a step as a picture");
  AddStepOptions(command, &arguments->step)->required();
  AddShape(command, "--shape", &arguments->shape,
           "Shape of the tensor that the mask is for, to ask without a forward"
           " (default: that of the step's forward)");
  command
      ->add_option("--output", arguments->output,
                   "Where the mask goes, as .npy of bool, true = kept; - is stdout")
      ->type_name("FILE");
  command
      ->add_option("--png", arguments->png,
                   "Where a PNG image goes, kept white, dropped black, multipliers from the least, "
                   "black, to the largest, white; at most 16384 pixels a side; - is stdout")
      ->type_name("FILE");
  command->add_flag("--ascii", arguments->ascii,
                    "Draw with # (kept) and . (dropped) also where the terminal has blocks");
  RunWhenParsed(command, context, [&context, arguments] {
    if (arguments->output == "-" && arguments->png == "-") {
      throw UsageError("--output and --png cannot both be stdout");
    }
    ShowMask(context, *arguments);
  });
}

}  // namespace dropout::cli
