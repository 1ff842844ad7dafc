// DropBlock's seed rate (Ghiasi, Lin and Le, 2018).
#ifndef DROPOUTD_SERVER_DROPOUT_BLOCK_RATE_H_
#define DROPOUTD_SERVER_DROPOUT_BLOCK_RATE_H_

#include <cstdint>
#include <span>

#include "server/dropout/layer_config.h"

namespace dropoutd {

// The probability gamma, in [0, 1), that a place is a seed, for a map of `sizes` (1 to 3 axes,
// none empty), blocks of `blocks` (each in [1, size]) and drop probability p in (0, 1).
//
// PAPER: p / prod(b) * prod(d) / prod(d - b + 1), which ignores overlaps; below 1. EXACT: the
// gamma at which the expected dropped share is p, where a position that c blocks cover is
// dropped with probability 1 - (1 - gamma)^c. 0 only where float64 has no number for it. It takes
// at most 4,096 steps of one operation a count c and power of 1 - gamma. Made of IEEE operations in
// a fixed order, so that it is the same on every machine (docs/mask-format.md).
double SeedRate(double p, std::span<const std::int64_t> sizes, std::span<const std::int64_t> blocks,
                DropBlockOptions::Gamma gamma);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_BLOCK_RATE_H_
