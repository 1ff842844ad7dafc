#include "server/kernels/masked_scale.h"

#include <cstddef>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/masked_scale.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/mask_ops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

void MaskedScaleF32(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  MaskElements<Float32Type>(x, bits, n, y, stores, ScaleKept{scale});
}

void MaskedScaleF64(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  MaskElements<Float64Type>(x, bits, n, y, stores, ScaleKept{scale});
}

void MaskedScaleF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  MaskElements<Float16Type>(x, bits, n, y, stores, ScaleKept{scale});
}

void MaskedScaleBF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                     Stores stores) {
  MaskElements<BFloat16Type>(x, bits, n, y, stores, ScaleKept{scale});
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(MaskedScaleF32);
HWY_EXPORT(MaskedScaleF64);
HWY_EXPORT(MaskedScaleF16);
HWY_EXPORT(MaskedScaleBF16);

void MaskedScaleF32(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleF32)(x, bits, n, scale, y, stores);
}

void MaskedScaleF64(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleF64)(x, bits, n, scale, y, stores);
}

void MaskedScaleF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                    Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleF16)(x, bits, n, scale, y, stores);
}

void MaskedScaleBF16(const void* x, const std::uint8_t* bits, std::size_t n, double scale, void* y,
                     Stores stores) {
  HWY_DYNAMIC_DISPATCH(MaskedScaleBF16)(x, bits, n, scale, y, stores);
}

}  // namespace dropoutd::kernels
#endif
