// Which instruction set the kernels run on.
#ifndef DROPOUTD_SERVER_KERNELS_SIMD_TARGET_H_
#define DROPOUTD_SERVER_KERNELS_SIMD_TARGET_H_

#include <string>
#include <string_view>
#include <vector>

namespace dropoutd::kernels {

// Name of the set that kernels run on now, for example "AVX2" (Highway's names; "AVX3"
// is AVX-512). It is found by running dispatched code, not by asking the processor.
std::string SimdTarget();

// Names of the sets that this build and this processor have, best first.
std::vector<std::string> SimdTargets();

// Makes kernels run on the named set, or on the best again for "". False, with nothing
// changed, if it is not one of SimdTargets(). No kernel may run meanwhile.
bool ForceSimdTarget(std::string_view name);

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_SIMD_TARGET_H_
