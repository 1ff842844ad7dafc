#include "server/base/random_id.h"

#include <atomic>
#include <random>

#include "absl/strings/str_cat.h"

namespace dropoutd {
namespace {

std::atomic<RandomSource> replacement = nullptr;

}  // namespace

std::uint64_t RandomSeed() {
  if (const RandomSource source = replacement; source != nullptr) return source();
  // Kept: to make one asks the processor about itself, which a virtual machine answers slowly.
  thread_local std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

std::string RandomId() {
  return absl::StrCat(absl::Hex(RandomSeed(), absl::kZeroPad16),
                      absl::Hex(RandomSeed(), absl::kZeroPad16));
}

void SetRandomSource(RandomSource source) { replacement = source; }

}  // namespace dropoutd
