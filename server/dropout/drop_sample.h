// How much of a mask is dropped, against how much was to be.
#ifndef DROPOUTD_SERVER_DROPOUT_DROP_SAMPLE_H_
#define DROPOUTD_SERVER_DROPOUT_DROP_SAMPLE_H_

#include <cstddef>

#include "server/dropout/packed_bits.h"
#include "server/dropout/plan.h"

namespace dropoutd {

// Of the beginning of a mask's noise, which tells as much as the whole of a large one.
struct DropSample {
  std::size_t elements = 0;
  std::size_t dropped = 0;
  double expected = 0.0;  // The mean of `dropped` that the noise's law gives.
};

// Of a plan that Draws(). `bits`: the noise, where it is bits and at hand; at most 65,536 of them
// are looked at. Else a 64th of the elements, from 16 to 1,024 of them, is drawn again, by the
// counter-based generator. Noise that is not bits drops no element; what counts as dropped is
// z > 1/2 of relaxed Bernoulli noise, which has probability p, and e < 0 of Gaussian noise, which
// has one half. Pure; thread-safe.
DropSample SampleDrops(const Plan& plan, const PackedBits* bits);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_DROP_SAMPLE_H_
