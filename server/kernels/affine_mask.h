// y = bit ? a * x + b : c, over contiguous elements: alpha dropout.
//
// Arguments as in masked_scale.h. a, b and c are rounded once to the compute type; a * x is
// rounded, then the sum. The result is the same on every instruction set.
//
// Thread safety: free functions on the caller's memory, no shared state.
#ifndef DROPOUTD_SERVER_KERNELS_AFFINE_MASK_H_
#define DROPOUTD_SERVER_KERNELS_AFFINE_MASK_H_

#include <cstddef>
#include <cstdint>

#include "server/kernels/stores.h"

namespace dropoutd::kernels {

struct Affine {
  double a = 1;
  double b = 0;
  double c = 0;  // In place of dropped elements.
};

void AffineMaskF32(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores);
void AffineMaskF64(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores);
// IEEE binary16.
void AffineMaskF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores);
// The upper half of a binary32.
void AffineMaskBF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f,
                    void* y, Stores stores);

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_AFFINE_MASK_H_
