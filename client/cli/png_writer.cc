#include "client/cli/png_writer.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <vector>

#include "absl/strings/str_cat.h"

namespace dropout::cli {
namespace {

constexpr double kWhite = 255;

// What multipliers are black and white.
struct Scale {
  double black = 0;
  double white = 1;

  png_byte Shade(double multiplier) const {
    const double share = (multiplier - black) / (white - black);
    return static_cast<png_byte>(std::lround(kWhite * std::clamp(share, 0.0, 1.0)));
  }
};

Scale ScaleOf(const MaskGrid& grid) {
  if (grid.has_bits()) return {};
  double least = grid.Multiplier(0, 0);
  double largest = least;
  for (std::size_t row = 0; row < grid.rows(); ++row) {
    for (std::size_t column = 0; column < grid.columns(); ++column) {
      const double multiplier = grid.Multiplier(row, column);
      least = std::min(least, multiplier);
      largest = std::max(largest, multiplier);
    }
  }
  return least < largest ? Scale{least, largest} : Scale{};
}

// Without a word on stderr: WritePng's status says it.
[[noreturn]] void OnError(png_structp png, png_const_charp) { png_longjmp(png, 1); }
void OnWarning(png_structp, png_const_charp) {}

// libpng reports errors with longjmp, which runs no destructors: nothing here may own
// memory. `pixels` has room for one row.
bool WriteRows(png_structp png, png_infop info, const MaskGrid& grid, const Scale& scale,
               std::size_t cell, std::FILE* file, png_bytep pixels) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_init_io(png, file);
  png_set_IHDR(png, info, static_cast<png_uint_32>(grid.columns() * cell),
               static_cast<png_uint_32>(grid.rows() * cell), 8, PNG_COLOR_TYPE_GRAY,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (std::size_t row = 0; row < grid.rows(); ++row) {
    for (std::size_t column = 0; column < grid.columns(); ++column) {
      std::fill_n(pixels + column * cell, cell, scale.Shade(grid.Multiplier(row, column)));
    }
    for (std::size_t i = 0; i < cell; ++i) png_write_row(png, pixels);
  }
  png_write_end(png, nullptr);
  return true;
}

}  // namespace

absl::StatusOr<std::size_t> PngCellSize(std::size_t rows, std::size_t columns) {
  if (rows == 0 || columns == 0) {
    return absl::InvalidArgumentError("a mask without elements has no image");
  }
  const std::size_t largest = kMaxPngSide / std::max(rows, columns);
  if (largest == 0) {
    return absl::InvalidArgumentError(absl::StrCat("the mask has ", rows, " rows and ", columns,
                                                   " columns; an image has at most ", kMaxPngSide,
                                                   " pixels a side"));
  }
  return std::min(largest, (kMinPngWidth + columns - 1) / columns);
}

absl::Status WritePng(const MaskGrid& grid, std::FILE* file) {
  const auto cell = PngCellSize(grid.rows(), grid.columns());
  if (!cell.ok()) return cell.status();
  std::vector<png_byte> pixels(grid.columns() * *cell);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, OnError, OnWarning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  const bool written =
      info != nullptr && WriteRows(png, info, grid, ScaleOf(grid), *cell, file, pixels.data());
  png_destroy_write_struct(&png, &info);
  return written ? absl::OkStatus() : absl::UnknownError("writing the PNG image failed");
}

}  // namespace dropout::cli
