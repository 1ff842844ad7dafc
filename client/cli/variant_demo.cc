#include "client/cli/variant_demo.h"

#include <cstddef>
#include <iostream>
#include <utility>

#include "absl/strings/str_format.h"
#include "client/cli/picture.h"
#include "client/cli/variant_scenes.h"

namespace dropout::cli {
namespace {

Json PanelJson(const Panel& panel) {
  Json rows = Json::array();
  for (std::size_t row = 0; row < panel.rows; ++row) {
    Json values = Json::array();
    for (std::size_t column = 0; column < panel.columns; ++column) {
      values.push_back(panel.values[row * panel.columns + column]);
    }
    rows.push_back(std::move(values));
  }
  return {{"title", panel.title}, {"multipliers", std::move(rows)}};
}

Json SceneJson(const std::string& name, const Scene& scene) {
  Json panels = Json::array();
  for (const Panel& panel : scene.panels) panels.push_back(PanelJson(panel));
  Json facts = Json::array();
  for (const auto& [what, value] : scene.facts) {
    facts.push_back({{"what", what}, {"value", value}});
  }
  return {{"variant", name},
          {"formula", scene.formula},
          {"look", scene.look},
          {"panels", std::move(panels)},
          {"facts", std::move(facts)}};
}

}  // namespace

void DemoVariant(Context& context, const std::string& name, bool ascii) {
  const Scene scene = ShowVariant(context.client(), name);
  if (context.options.json) {
    context.PrintJson(SceneJson(name, scene));
    return;
  }
  std::cout << name << ": " << scene.formula << '\n' << scene.look << "\n\n";
  std::cout << DrawPanels(scene.panels, CurrentTerminalSize().columns, ascii || !LocaleIsUtf8())
            << '\n';
  for (const auto& [what, value] : scene.facts) {
    std::cout << absl::StrFormat("%s: %.6g\n", what, value);
  }
}

}  // namespace dropout::cli
