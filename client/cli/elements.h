// Single elements of a tensor as numbers.
#ifndef DROPOUTD_CLIENT_CLI_ELEMENTS_H_
#define DROPOUTD_CLIENT_CLI_ELEMENTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "dropout/types.h"

namespace dropout::cli {

// Product of the sizes; empty if one is negative or the product does not fit. 1 for
// rank 0; 0 as soon as one size is 0.
std::optional<std::size_t> ElementCount(const std::vector<std::int64_t>& shape);

// DATA_LOSS if a tensor's or a mask's bytes are not those of its shape: what a server sent
// is checked once, before anything reads its elements.
absl::Status CheckTensor(const Tensor& tensor);
absl::Status CheckMask(const Mask& mask);

// The exact value of element `index`, which must be below the number of elements.
double ElementAt(const Tensor& tensor, std::size_t index);

// The shortest decimal number that reads back as element `index`, as a double: 0.1 for the
// float32 nearest to 0.1, where ElementAt gives 0.10000000149011612.
double ReadableElementAt(const Tensor& tensor, std::size_t index);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_ELEMENTS_H_
