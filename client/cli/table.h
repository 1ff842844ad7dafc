// Tables of aligned columns for people.
#ifndef DROPOUTD_CLIENT_CLI_TABLE_H_
#define DROPOUTD_CLIENT_CLI_TABLE_H_

#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace dropout::cli {

// How many columns UTF-8 text takes, counting one a code point.
std::size_t DisplayWidth(absl::string_view text);

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

// A table with a line of titles. Without rows only the titles are printed.
class Table {
 public:
  explicit Table(std::vector<Column> columns);

  // `cells` must have one entry a column.
  void AddRow(std::vector<std::string> cells);

  // One line a row, two spaces between columns, no spaces at the ends of lines.
  void Print(std::ostream& out) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Names with their values, one a line, the values aligned.
void PrintFields(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_TABLE_H_
