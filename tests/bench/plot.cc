#include "tests/bench/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace dropoutd::bench {
namespace {

// Pixels.
constexpr double kLabels = 500;
constexpr double kBars = 480;
constexpr double kRow = 20;
constexpr double kTop = 44;

// Ratios from kLeast to kMost have a place; others are drawn at the edge.
constexpr double kLeast = 0.1;
constexpr double kMost = 1000;

double X(double ratio) {
  const double clamped = std::clamp(ratio, kLeast, kMost);
  return kLabels + kBars * std::log(clamped / kLeast) / std::log(kMost / kLeast);
}

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Short(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

void Line(std::ostringstream& svg, double x1, double y1, double x2, double y2, const char* style) {
  svg << "<line x1='" << x1 << "' y1='" << y1 << "' x2='" << x2 << "' y2='" << y2 << "' " << style
      << "/>\n";
}

void Text(std::ostringstream& svg, double x, double y, const char* anchor,
          const std::string& text) {
  svg << "<text x='" << x << "' y='" << y << "' text-anchor='" << anchor << "'>" << Escaped(text)
      << "</text>\n";
}

void Bar(std::ostringstream& svg, const Row& row, double y) {
  const double ratio = Quantile(row.ratios, 0.5);
  const bool is_short = row.at_least > 0 && ratio < row.at_least;
  const double from = std::min(X(1), X(ratio));
  const double to = std::max(X(1), X(ratio));
  Text(svg, kLabels - 8, y + 14, "end", row.what + " / " + row.baseline);
  svg << "<rect x='" << from << "' y='" << y + 4 << "' width='" << std::max(1.0, to - from)
      << "' height='12' fill='" << (is_short ? "#d9822b" : "#2b7bba") << "'/>\n";
  Line(svg, X(Quantile(row.ratios, 0.25)), y + 10, X(Quantile(row.ratios, 0.75)), y + 10,
       "stroke='#222'");
  if (row.at_least > 0) {
    Line(svg, X(row.at_least), y + 1, X(row.at_least), y + 19, "stroke='#b00' stroke-width='2'");
  }
  Text(svg, kLabels + kBars + 8, y + 14, "start", Short(ratio));
}

}  // namespace

std::string PlotOf(const std::vector<Row>& rows) {
  const double height = kTop + kRow * static_cast<double>(rows.size()) + 10;
  std::ostringstream svg;
  svg << "<svg xmlns='http://www.w3.org/2000/svg' width='" << kLabels + kBars + 70 << "' height='"
      << height << "' font-family='sans-serif' font-size='12'>\n"
      << "<rect width='100%' height='100%' fill='white'/>\n";
  Text(svg, kLabels, 16, "start", "baseline's time / ours; red: asked for; orange: below that");
  for (double tick = kLeast; tick <= kMost * 1.01; tick *= 10) {
    Line(svg, X(tick), kTop - 6, X(tick), height - 6, "stroke='#ddd'");
    Text(svg, X(tick), kTop - 10, "middle", Short(tick));
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Bar(svg, rows[i], kTop + kRow * static_cast<double>(i));
  }
  svg << "</svg>\n";
  return svg.str();
}

}  // namespace dropoutd::bench
