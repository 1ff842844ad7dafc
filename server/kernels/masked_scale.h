// y = bit ? x * scale : +0, over contiguous elements.
//
// `bits`: one bit an element, least significant bit first, (n + 7) / 8 bytes. x and y
// may have any alignment; they may be the same place, and must not overlap otherwise.
// Values: docs/mask-format.md, section 4. 16-bit types are computed in float32 and
// rounded to nearest, ties to even. The result is the same on every instruction set.
//
// Thread safety: free functions on the caller's memory, no shared state.
#ifndef DROPOUTD_SERVER_KERNELS_MASKED_SCALE_H_
#define DROPOUTD_SERVER_KERNELS_MASKED_SCALE_H_

#include <cstddef>
#include <cstdint>

#include "server/kernels/stores.h"

namespace dropoutd::kernels {

// `scale` is rounded once to the compute type.
void MaskedScaleF32(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores);
void MaskedScaleF64(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores);
// IEEE binary16.
void MaskedScaleF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores);
// The upper half of a binary32.
void MaskedScaleBF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                     Stores stores);

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_MASKED_SCALE_H_
