#include "server/kernels/affine_mask.h"

#include <cstddef>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/affine_mask.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/mask_ops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

void AffineMaskF32(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  MaskElements<Float32Type>(x, bits, n, y, stores, AffineKept{f});
}

void AffineMaskF64(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  MaskElements<Float64Type>(x, bits, n, y, stores, AffineKept{f});
}

void AffineMaskF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  MaskElements<Float16Type>(x, bits, n, y, stores, AffineKept{f});
}

void AffineMaskBF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f,
                    void* y, Stores stores) {
  MaskElements<BFloat16Type>(x, bits, n, y, stores, AffineKept{f});
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(AffineMaskF32);
HWY_EXPORT(AffineMaskF64);
HWY_EXPORT(AffineMaskF16);
HWY_EXPORT(AffineMaskBF16);

void AffineMaskF32(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  HWY_DYNAMIC_DISPATCH(AffineMaskF32)(x, bits, n, f, y, stores);
}

void AffineMaskF64(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  HWY_DYNAMIC_DISPATCH(AffineMaskF64)(x, bits, n, f, y, stores);
}

void AffineMaskF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f, void* y,
                   Stores stores) {
  HWY_DYNAMIC_DISPATCH(AffineMaskF16)(x, bits, n, f, y, stores);
}

void AffineMaskBF16(const void* x, const std::uint8_t* bits, std::size_t n, const Affine& f,
                    void* y, Stores stores) {
  HWY_DYNAMIC_DISPATCH(AffineMaskBF16)(x, bits, n, f, y, stores);
}

}  // namespace dropoutd::kernels
#endif
