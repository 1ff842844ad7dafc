// Masks as pictures of characters.
#ifndef DROPOUTD_CLIENT_CLI_PICTURE_H_
#define DROPOUTD_CLIENT_CLI_PICTURE_H_

#include <cstddef>
#include <string>

#include "client/cli/mask_grid.h"

namespace dropout::cli {

// Room for a picture, in characters.
struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

// The size of the terminal on stdout; the default where that is none.
TerminalSize CurrentTerminalSize();

// Whether the locale (set by setlocale) writes UTF-8.
bool LocaleIsUtf8();

// The mask, one line for two rows in blocks (█ both kept, ▀ the upper, ▄ the lower) inside a
// frame; with `ascii` one line a row, '#' kept and '.' dropped, without a frame. What does
// not fit `room` is left out, and a last line says so. Every line ends with a newline.
std::string DrawMask(const MaskGrid& grid, TerminalSize room, bool ascii);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_PICTURE_H_
