// What Highway's own library gives at run time, for check_neon.sh: Debian has that library
// for the machine's architecture only. NEON is part of every 64-bit Arm processor.
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cstdint>

namespace hwy {
namespace {

std::int64_t supported_for_test = 0;

}  // namespace

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

std::int64_t SupportedTargets() { return supported_for_test != 0 ? supported_for_test : HWY_NEON; }

void SetSupportedTargetsForTest(std::int64_t targets) { supported_for_test = targets; }

}  // namespace hwy
