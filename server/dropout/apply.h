// Carries out a plan on bytes. Holds no lock and keeps no state: any number of threads may
// work at once, each on its own output.
#ifndef DROPOUTD_SERVER_DROPOUT_APPLY_H_
#define DROPOUTD_SERVER_DROPOUT_APPLY_H_

#include <cstddef>

#include "server/dropout/data_type.h"
#include "server/dropout/packed_bits.h"
#include "server/dropout/plan.h"

namespace dropoutd {

// The bits of the plan's whole noise. Only for kMask with a counter-based generator.
PackedBits DrawBits(const Plan& plan);

// Bits that say the same as the plan's action, where that is not kMask: all kept.
PackedBits KeepAllBits(const Plan& plan);

// y = the plan's action on x, both of plan.layout.tensor's element count. For kMask,
// `bits` are the noise's; else they are ignored and may be null. x and y have any
// alignment and may be the same place, and must not overlap otherwise.
void Apply(const Plan& plan, const PackedBits* bits, DataType dtype, const void* x, void* y);

// DrawBits and Apply in one pass over x. Only for kMask with a counter-based generator.
PackedBits DrawAndApply(const Plan& plan, DataType dtype, const void* x, void* y);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_APPLY_H_
