// Masks as small pictures beside each other: one for each sample, channel or time step.
#ifndef DROPOUTD_CLIENT_CLI_PANEL_H_
#define DROPOUTD_CLIENT_CLI_PANEL_H_

#include <cstddef>
#include <string>
#include <vector>

namespace dropout::cli {

// What the elements of a matrix are multiplied by.
struct Panel {
  std::string title;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<double> values;  // rows * columns, row-major.
  double full = 1.0;           // The value that is drawn at full strength, above 0.
};

// The panels, as many beside each other as `width` characters have room for, at least one. A value
// is drawn in five steps from 0 to `full`: two characters of "· ░ ▒ ▓ █", with `ascii` of ". : + *
// #".
std::string DrawPanels(const std::vector<Panel>& panels, std::size_t width, bool ascii);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_PANEL_H_
