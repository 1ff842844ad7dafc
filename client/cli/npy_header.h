// The header of a .npy file, which is the text of a Python dictionary.
#ifndef DROPOUTD_CLIENT_CLI_NPY_HEADER_H_
#define DROPOUTD_CLIENT_CLI_NPY_HEADER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace dropout::cli {

struct NpyHeader {
  std::string descr;  // "<f4", ...
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (4, 5), }, with its keys in any
// order. INVALID_ARGUMENT for other text, for negative sizes and for sizes past int64.
absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view text);

// The bytes of a version 1.0 file before its data: magic, version, length and dictionary,
// padded to a multiple of 64. The rank must be at most 8.
std::string FormatNpyPreamble(const NpyHeader& header);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_NPY_HEADER_H_
