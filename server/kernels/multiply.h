// y = x * m with one multiplier an element, for noise that is not binary.
//
// A multiplier is rounded once to the compute type (float64 for FLOAT64, else float32); where
// that is 0, y is +0 whatever x is. 16-bit types are computed in float32 and rounded to
// nearest, ties to even. x and y have any alignment; they may be the same place, and must
// not overlap otherwise. No m is a NaN. The result is the same on every instruction set.
//
// Thread safety: free functions on the caller's memory, no shared state.
#ifndef DROPOUTD_SERVER_KERNELS_MULTIPLY_H_
#define DROPOUTD_SERVER_KERNELS_MULTIPLY_H_

#include <cstddef>

#include "server/kernels/stores.h"

namespace dropoutd::kernels {

void MultiplyF32(const void* x, const double* m, std::size_t n, void* y, Stores stores);
void MultiplyF64(const void* x, const double* m, std::size_t n, void* y, Stores stores);
// IEEE binary16.
void MultiplyF16(const void* x, const double* m, std::size_t n, void* y, Stores stores);
// The upper half of a binary32.
void MultiplyBF16(const void* x, const double* m, std::size_t n, void* y, Stores stores);

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_MULTIPLY_H_
