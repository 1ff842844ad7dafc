#include "client/cli/layer_table.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/enum_names.h"
#include "client/cli/field_text.h"
#include "client/cli/table.h"
#include "client/cli/variant_fields.h"

namespace dropout::cli {
namespace {

// "drop_block, block_size 7, channel_axis 1, ...", without fields that have no value.
std::string DescribeVariant(const Variant& variant) {
  std::string text = NameOf(variant);
  VisitFieldsOf(variant, [&](absl::string_view field, const auto& value) {
    const std::string shown = FormatField(value);
    if (shown != "none") absl::StrAppend(&text, ", ", SettingName(field), " ", shown);
  });
  return text;
}

std::string DescribeP(const Layer& layer) {
  return layer.schedule ? FormatSchedule(*layer.schedule) : FormatField(layer.p.value_or(0.0));
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
    table.AddRow({layer.layer_id, DescribeP(layer), NameOf(layer.mode), NameOf(layer.generator),
                  NameOf(layer.scaling), absl::StrCat(layer.revision),
                  DescribeVariant(layer.variant)});
  }
  table.Print(out);
}

}  // namespace dropout::cli
