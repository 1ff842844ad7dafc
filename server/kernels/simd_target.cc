#include "server/kernels/simd_target.h"

#include <algorithm>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/simd_target.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

// The set that this copy of the code was compiled for.
std::int64_t CompiledTarget() { return HWY_TARGET; }

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {
namespace {

HWY_EXPORT(CompiledTarget);

// What this build and this processor have. Asked once, before any set is forced, because a
// forced set is all that Highway lists from then on.
const std::vector<std::int64_t>& AllTargets() {
  static const std::vector<std::int64_t> targets = hwy::SupportedAndGeneratedTargets();
  return targets;
}

void Choose(std::int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace

std::string SimdTarget() { return hwy::TargetName(HWY_DYNAMIC_DISPATCH(CompiledTarget)()); }

std::vector<std::string> SimdTargets() {
  std::vector<std::string> names;
  for (const std::int64_t target : AllTargets()) names.emplace_back(hwy::TargetName(target));
  return names;
}

bool ForceSimdTarget(std::string_view name) {
  const std::vector<std::int64_t>& targets = AllTargets();
  if (name.empty()) {
    Choose(0);
    return true;
  }
  const auto named = std::find_if(targets.begin(), targets.end(), [&](std::int64_t target) {
    return name == hwy::TargetName(target);
  });
  if (named == targets.end()) return false;
  Choose(*named);
  return true;
}

}  // namespace dropoutd::kernels
#endif
