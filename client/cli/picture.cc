#include "client/cli/picture.h"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace dropout::cli {
namespace {

// Lines that stay free for the note, the summary and the prompt.
constexpr std::size_t kReservedRows = 4;

std::string Repeated(const char* text, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

const char* Block(bool upper, bool lower) {
  if (upper) return lower ? "█" : "▀";
  return lower ? "▄" : " ";
}

std::string DrawAscii(const MaskGrid& grid, std::size_t rows, std::size_t columns) {
  std::string picture;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      picture += grid.Kept(row, column) ? '#' : '.';
    }
    picture += '\n';
  }
  return picture;
}

std::string DrawBlocks(const MaskGrid& grid, std::size_t rows, std::size_t columns) {
  const std::string border = Repeated("─", columns);
  std::string picture = absl::StrCat("┌", border, "┐\n");
  for (std::size_t row = 0; row < rows; row += 2) {
    picture += "│";
    for (std::size_t column = 0; column < columns; ++column) {
      picture += Block(grid.Kept(row, column), row + 1 < rows && grid.Kept(row + 1, column));
    }
    picture += "│\n";
  }
  return absl::StrCat(picture, "└", border, "┘\n");
}

}  // namespace

TerminalSize CurrentTerminalSize() {
  TerminalSize size;
  winsize window{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0) {
    size.columns = window.ws_col;
    size.rows = window.ws_row;
  }
  return size;
}

bool LocaleIsUtf8() { return std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0; }

std::string DrawMask(const MaskGrid& grid, TerminalSize room, bool ascii) {
  if (grid.size() == 0) return "(no elements)\n";
  const std::size_t frame = ascii ? 0 : 2;
  const std::size_t reserved = kReservedRows + frame;
  const std::size_t lines = room.rows > reserved ? room.rows - reserved : 1;
  const std::size_t rows = std::min(grid.rows(), ascii ? lines : 2 * lines);
  const std::size_t columns =
      std::min(grid.columns(), room.columns > frame ? room.columns - frame : 1);
  std::string picture = ascii ? DrawAscii(grid, rows, columns) : DrawBlocks(grid, rows, columns);
  if (rows < grid.rows() || columns < grid.columns()) {
    absl::StrAppend(&picture, "(the first ", rows, " of ", grid.rows(), " rows and ", columns,
                    " of ", grid.columns(), " columns; --png and --output write all)\n");
  }
  return picture;
}

}  // namespace dropout::cli
