// A pass over a whole tensor in one piece.
#ifndef DROPOUTD_TESTS_DROPOUT_WHOLE_PASS_H_
#define DROPOUTD_TESTS_DROPOUT_WHOLE_PASS_H_

#include <cstddef>
#include <memory>

#include "server/dropout/pass.h"

namespace dropoutd {

// With bits that are known; null where none are needed.
inline void Apply(const Plan& plan, SharedBits bits, DataType dtype, const void* x, void* y) {
  const Pass pass(plan, dtype, std::move(bits), Pass::Bits::kForget);
  pass.Run(0, static_cast<std::size_t>(plan.layout.tensor.ElementCount()), x, y);
}

inline SharedBits ShareBits(PackedBits bits) {
  return std::make_shared<const PackedBits>(std::move(bits));
}

// With bits that are drawn on the way; returns them.
inline SharedBits DrawAndApply(const Plan& plan, DataType dtype, const void* x, void* y) {
  const Pass pass(plan, dtype, nullptr, Pass::Bits::kKeep);
  pass.Run(0, static_cast<std::size_t>(plan.layout.tensor.ElementCount()), x, y);
  return pass.bits();
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_DROPOUT_WHOLE_PASS_H_
