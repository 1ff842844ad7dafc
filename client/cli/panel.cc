#include "client/cli/panel.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace dropout::cli {
namespace {

constexpr int kSteps = 5;
constexpr const char* kShades[kSteps] = {"··", "░░", "▒▒", "▓▓", "██"};
constexpr const char* kAsciiShades[kSteps] = {"..", "::", "++", "**", "##"};
constexpr std::size_t kCellWidth = 2;
constexpr std::size_t kGap = 3;

const char* Shade(double value, double full, bool ascii) {
  const double step = std::round(value / full * (kSteps - 1));
  // Written so that NaN is drawn as 0.
  const int index = step >= 1 ? static_cast<int>(std::min<double>(step, kSteps - 1)) : 0;
  return ascii ? kAsciiShades[index] : kShades[index];
}

std::size_t WidthOf(const Panel& panel) {
  return std::max(panel.title.size(), panel.columns * kCellWidth);
}

std::string Row(const Panel& panel, std::size_t row, bool ascii) {
  std::string text;
  if (row < panel.rows) {
    for (std::size_t column = 0; column < panel.columns; ++column) {
      text += Shade(panel.values[row * panel.columns + column], panel.full, ascii);
    }
  }
  const std::size_t drawn = row < panel.rows ? panel.columns * kCellWidth : 0;
  return text + std::string(WidthOf(panel) - drawn, ' ');
}

void AppendLine(std::string line, std::string* text) {
  absl::StripTrailingAsciiWhitespace(&line);
  absl::StrAppend(text, "  ", line, "\n");
}

void DrawBeside(const Panel* begin, const Panel* end, bool ascii, std::string* text) {
  std::string titles;
  std::size_t rows = 0;
  for (const Panel* panel = begin; panel != end; ++panel) {
    absl::StrAppend(&titles, panel->title,
                    std::string(WidthOf(*panel) - panel->title.size() + kGap, ' '));
    rows = std::max(rows, panel->rows);
  }
  AppendLine(titles, text);
  for (std::size_t row = 0; row < rows; ++row) {
    std::string line;
    for (const Panel* panel = begin; panel != end; ++panel) {
      absl::StrAppend(&line, Row(*panel, row, ascii), std::string(kGap, ' '));
    }
    AppendLine(line, text);
  }
}

}  // namespace

std::string DrawPanels(const std::vector<Panel>& panels, std::size_t width, bool ascii) {
  std::string text;
  const Panel* const end = panels.data() + panels.size();
  for (const Panel* first = panels.data(); first != end;) {
    const Panel* last = first + 1;
    for (std::size_t used = WidthOf(*first) + kGap; last != end; ++last) {
      used += WidthOf(*last) + kGap;
      if (used > width) break;
    }
    if (!text.empty()) text += '\n';
    DrawBeside(first, last, ascii, &text);
    first = last;
  }
  return text;
}

}  // namespace dropout::cli
