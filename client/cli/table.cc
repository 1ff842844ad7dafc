#include "client/cli/table.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace dropout::cli {
namespace {

constexpr char kGap[] = "  ";

std::string Aligned(const std::string& cell, std::size_t width, Align align) {
  const std::string padding(width - DisplayWidth(cell), ' ');
  return align == Align::kLeft ? cell + padding : padding + cell;
}

void PrintTrimmed(std::ostream& out, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  out << line << '\n';
}

}  // namespace

std::size_t DisplayWidth(absl::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::AddRow(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream& out) const {
  std::vector<std::string> titles;
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    titles.push_back(columns_[c].title);
    std::size_t width = DisplayWidth(columns_[c].title);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[c]));
    widths.push_back(width);
  }
  const auto print_row = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      line += (c == 0 ? "" : kGap) + Aligned(cells[c], widths[c], columns_[c].align);
    }
    PrintTrimmed(out, std::move(line));
  };
  print_row(titles);
  for (const auto& row : rows_) print_row(row);
}

void PrintFields(std::ostream& out,
                 const std::vector<std::pair<std::string, std::string>>& fields) {
  std::size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, DisplayWidth(name));
  for (const auto& [name, value] : fields) {
    PrintTrimmed(out, Aligned(name, width, Align::kLeft) + kGap + value);
  }
}

}  // namespace dropout::cli
