// Masks as PNG images.
#ifndef DROPOUTD_CLIENT_CLI_PNG_WRITER_H_
#define DROPOUTD_CLIENT_CLI_PNG_WRITER_H_

#include <cstddef>
#include <cstdio>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/mask_grid.h"

namespace dropout::cli {

inline constexpr std::size_t kMaxPngSide = 16384;  // Pixels.
inline constexpr std::size_t kMinPngWidth = 256;   // Pixels, where kMaxPngSide allows it.

// Side of the square that stands for one element, in pixels: the smallest that gives
// kMinPngWidth, smaller where a side would pass kMaxPngSide. INVALID_ARGUMENT for a mask
// without elements, and for one that is too large even with one pixel an element.
absl::StatusOr<std::size_t> PngCellSize(std::size_t rows, std::size_t columns);

// Writes an 8-bit grayscale image to `file`: kept elements white, dropped ones black; multipliers
// from the least, black, to the largest, white.
// Errors as PngCellSize; UNKNOWN where writing fails.
absl::Status WritePng(const MaskGrid& grid, std::FILE* file);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_PNG_WRITER_H_
