// NumPy's .npy files, versions 1 to 3.
//
// Element types: <f2, <f4, <f8 and their big-endian forms, which are swapped on reading;
// <V2 for bfloat16, which NumPy does not know (what ml_dtypes writes). Arrays in Fortran
// order are brought into row-major order.
#ifndef DROPOUTD_CLIENT_CLI_NPY_H_
#define DROPOUTD_CLIENT_CLI_NPY_H_

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dropout/types.h"

namespace dropout::cli {

struct NpyOptions {
  // 16-bit integers are taken for the bits of bfloat16 numbers.
  bool integers_are_bfloat16 = false;
};

// Reads a whole file or pipe, from its present place to its end. INVALID_ARGUMENT for
// anything that is not exactly one array of a type above with rank 0 to 8. Memory is taken
// for what the file really has, never for what its header claims.
absl::StatusOr<Tensor> ReadNpy(std::FILE* file, NpyOptions options = {});

// ReadNpy of the file at `path`, or of stdin for "-"; errors name the path.
absl::StatusOr<Tensor> ReadNpyFile(const std::string& path, NpyOptions options = {});

// Writes version 1.0, the data aligned to 64 bytes. UNKNOWN if writing fails.
absl::Status WriteNpy(const Tensor& tensor, std::FILE* file);

// Writes the mask: an array of bool, true = kept, or the multipliers of a mask that is not
// binary. The mask must have passed CheckMask.
absl::Status WriteMaskNpy(const Mask& mask, std::FILE* file);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_NPY_H_
