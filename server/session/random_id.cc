#include "server/session/random_id.h"

#include <random>

#include "absl/strings/str_cat.h"

namespace dropoutd {

std::uint64_t RandomSeed() {
  // Kept: to make one asks the processor about itself, which a virtual machine answers slowly.
  thread_local std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

std::string RandomId() {
  return absl::StrCat(absl::Hex(RandomSeed(), absl::kZeroPad16),
                      absl::Hex(RandomSeed(), absl::kZeroPad16));
}

}  // namespace dropoutd
