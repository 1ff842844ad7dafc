// A tensor as NumPy prints an array.
#ifndef DROPOUTD_CLIENT_CLI_TENSOR_TEXT_H_
#define DROPOUTD_CLIENT_CLI_TENSOR_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "dropout/types.h"

namespace dropout::cli {

// The elements with commas and brackets, at most eight digits after the point, without a
// newline at the end: what numpy.array2string(x, separator=", ") gives. Past 1000 elements
// only the first and last three of each axis. `tensor` must have passed CheckTensor.
std::string FormatTensor(const Tensor& tensor);

// "[4, 5]".
std::string FormatShape(const std::vector<std::int64_t>& shape);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_TENSOR_TEXT_H_
