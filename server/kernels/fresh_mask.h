// Draws bits and masks with them in one pass: while the bits of some elements are computed, the
// elements before them are read, masked and written, so that the processor and the memory work at
// the same time. The bits are BernoulliBits', the elements MaskedScale's and AffineMask's.
//
// x and y: as those of masked_scale.h.
//
// Thread safety: free functions on the caller's memory, no shared state.
#ifndef DROPOUTD_SERVER_KERNELS_FRESH_MASK_H_
#define DROPOUTD_SERVER_KERNELS_FRESH_MASK_H_

#include <cstddef>
#include <cstdint>

#include "server/kernels/affine_mask.h"
#include "server/kernels/bernoulli_bits.h"
#include "server/kernels/stores.h"

namespace dropoutd::kernels {

struct FreshBits {
  const BernoulliStream& stream;
  std::uint64_t first = 0;       // The index of the first element.
  std::uint8_t* kept = nullptr;  // Where to put the bits, (n + 7) / 8 bytes. Null: nowhere.
};

void FreshMaskedScaleF32(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                         void* y, Stores stores);
void FreshMaskedScaleF64(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                         void* y, Stores stores);
void FreshMaskedScaleF16(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                         void* y, Stores stores);
void FreshMaskedScaleBF16(const FreshBits& fresh, const void* x, std::size_t n, double scale,
                          void* y, Stores stores);
void FreshAffineMaskF32(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                        void* y, Stores stores);
void FreshAffineMaskF64(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                        void* y, Stores stores);
void FreshAffineMaskF16(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                        void* y, Stores stores);
void FreshAffineMaskBF16(const FreshBits& fresh, const void* x, std::size_t n, const Affine& f,
                         void* y, Stores stores);

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_FRESH_MASK_H_
