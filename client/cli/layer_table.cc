#include "client/cli/layer_table.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/enum_names.h"
#include "client/cli/table.h"

namespace dropout::cli {
namespace {

std::string DescribeVariant(const Variant& variant) {
  const auto* dropout = std::get_if<Dropout>(&variant);
  if (dropout == nullptr || dropout->broadcast_axes.empty()) return NameOf(variant);
  return absl::StrCat("dropout, broadcast axes ", absl::StrJoin(dropout->broadcast_axes, ","));
}

}  // namespace

void PrintLayers(std::ostream& out, const std::vector<Layer>& layers) {
  Table table({{"LAYER"},
               {"P", Align::kRight},
               {"MODE"},
               {"GENERATOR"},
               {"SCALING"},
               {"REVISION", Align::kRight},
               {"VARIANT"}});
  for (const Layer& layer : layers) {
    table.AddRow({layer.layer_id, absl::StrCat(layer.p), NameOf(layer.mode),
                  NameOf(layer.generator), NameOf(layer.scaling), absl::StrCat(layer.revision),
                  DescribeVariant(layer.variant)});
  }
  table.Print(out);
}

}  // namespace dropout::cli
