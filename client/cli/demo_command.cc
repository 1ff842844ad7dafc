// demo: the teaching notebook's cells, replayed against the server, or one variant.
#include <algorithm>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/commands.h"
#include "client/cli/elements.h"
#include "client/cli/notebook.h"
#include "client/cli/table.h"
#include "client/cli/temporary_session.h"
#include "client/cli/tensor_text.h"
#include "client/cli/variant_demo.h"
#include "client/cli/variant_fields.h"

namespace dropout::cli {
namespace {

using notebook::Matrix;

struct DemoArguments {
  std::string variant;  // Empty: the notebook.
  bool ascii = false;
};

constexpr char kDemoLayer[] = "dropout";
constexpr std::uint64_t kStep = 0;

struct Cell {
  std::string name;
  std::string meaning;
  Tensor expected;
  Tensor actual;

  bool Equal() const {
    return expected.shape == actual.shape && expected.dtype == actual.dtype &&
           expected.data == actual.data;
  }
};

Tensor ToTensor(const Matrix& values) {
  Tensor tensor{DataType::kFloat64,
                {std::int64_t{notebook::kRows}, std::int64_t{notebook::kColumns}},
                std::string(sizeof(values), '\0')};
  std::memcpy(tensor.data.data(), values.data(), sizeof(values));
  return tensor;
}

// 0/divisor, 1/divisor, 2/divisor, ...
Tensor Arange(double divisor) {
  Matrix values;
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) / divisor;
  return ToTensor(values);
}

// The mask as the notebook has it: an array of 0 and the scale.
Tensor Multipliers(const std::optional<Mask>& mask) {
  if (!mask.has_value()) CheckCall(absl::DataLossError("the server sent no mask"));
  CheckCall(CheckMask(*mask));
  if (mask->multipliers.has_value()) return *mask->multipliers;
  Tensor tensor{DataType::kFloat64, mask->shape, ""};
  const std::size_t count = *ElementCount(mask->shape);
  for (std::size_t i = 0; i < count; ++i) {
    const double value = mask->Kept(i) ? mask->scale : 0.0;
    tensor.data.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return tensor;
}

Tensor Checked(Tensor tensor) {
  CheckCall(CheckTensor(tensor));
  return tensor;
}

SessionOptions NotebookSession() {
  Layer layer;
  layer.layer_id = kDemoLayer;
  layer.p = notebook::kP;
  layer.generator = Generator::kNumpyLegacy;
  SessionOptions options;
  options.seed = notebook::kSeed;
  options.layers = {layer};
  return options;
}

std::vector<Cell> Replay(Client& client) {
  const TemporarySession session(client, NotebookSession());
  const StepRef step{session.id(), kDemoLayer, kStep, 0, std::nullopt};
  const Tensor input = Arange(notebook::kInputDivisor);
  const Tensor gradient = Arange(notebook::kGradientDivisor);

  const ForwardResult trained = CallResult(client.Forward(step, input.View(), true));
  const BackwardResult backward = CallResult(client.Backward(step, gradient.View()));
  CallResult(client.SetMode(session.id(), Mode::kEval));
  const ForwardResult evaluated =
      CallResult(client.Forward({session.id(), kDemoLayer, {}, 0, {}}, input.View()));

  return {{"Out[7]", "the mask", ToTensor(notebook::kMask), Multipliers(trained.mask)},
          {"Out[8]", "the gradient with respect to the input", ToTensor(notebook::kInputGradient),
           Checked(backward.input_gradient)},
          {"eval", "the output, which is the input", input, Checked(evaluated.output)}};
}

// Two texts of several lines beside each other.
void PrintBeside(const std::string& left, const std::string& right) {
  Table table({{"  notebook"}, {"  dropoutd"}});
  const std::vector<std::string> left_lines = absl::StrSplit(left, '\n');
  const std::vector<std::string> right_lines = absl::StrSplit(right, '\n');
  for (std::size_t i = 0; i < std::max(left_lines.size(), right_lines.size()); ++i) {
    table.AddRow({i < left_lines.size() ? "  " + left_lines[i] : "",
                  i < right_lines.size() ? "  " + right_lines[i] : ""});
  }
  table.Print(std::cout);
}

void PrintCell(const Cell& cell) {
  std::cout << cell.name << ": " << cell.meaning << '\n';
  PrintBeside(FormatTensor(cell.expected), FormatTensor(cell.actual));
  std::cout << "  equal to the last bit: " << (cell.Equal() ? "yes" : "no") << "\n\n";
}

Json CellJson(const Cell& cell) {
  return {{"cell", cell.name},
          {"meaning", cell.meaning},
          {"notebook", ToJson(cell.expected)},
          {"dropoutd", ToJson(cell.actual)},
          {"equal", cell.Equal()}};
}

int Demo(Context& context) {
  const std::vector<Cell> cells = Replay(context.client());
  bool all_equal = true;
  Json list = Json::array();
  for (const Cell& cell : cells) {
    all_equal = all_equal && cell.Equal();
    if (context.options.json) {
      list.push_back(CellJson(cell));
    } else {
      PrintCell(cell);
    }
  }
  if (context.options.json) {
    context.PrintJson({{"cells", std::move(list)}, {"all_equal", all_equal}});
  } else {
    std::cout << (all_equal ? "all cells agree with the notebook\n"
                            : "not all cells agree with the notebook\n");
  }
  return all_equal ? kExitOk : kExitRefused;
}

}  // namespace

void AddDemoCommand(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<DemoArguments>();
  CLI::App* command = app.add_subcommand(
      "demo",
      "Replay the notebook's cells and compare them to the last bit (exit status 1: differ), or "
      "show what a variant does");
  command
      ->add_option("--variant", arguments->variant, "Draw what this kind of dropout does instead")
      ->type_name(absl::StrJoin(VariantNames(), "|"))
      ->check(CLI::IsMember(VariantNames()).description(""));
  command->add_flag("--ascii", arguments->ascii,
                    "Draw a variant with # to . also where the terminal has blocks");
  RunWhenParsed(command, context, [&context, arguments]() -> int {
    if (arguments->variant.empty()) return Demo(context);
    DemoVariant(context, arguments->variant, arguments->ascii);
    return kExitOk;
  });
}

}  // namespace dropout::cli
