// From the noise's bits to one bit an element of the tensor.
#ifndef DROPOUTD_SERVER_DROPOUT_BIT_EXPANDER_H_
#define DROPOUTD_SERVER_DROPOUT_BIT_EXPANDER_H_

#include <cstddef>
#include <cstdint>

#include "server/dropout/noise_layout.h"
#include "server/dropout/noise_runs.h"
#include "server/dropout/packed_bits.h"

namespace dropoutd {

// Walks the tensor's elements in order and repeats the bits of shared axes. One thread at
// a time; refers to `noise`, which must outlive it.
class BitExpander {
 public:
  // Starts at element `begin`, which is below the tensor's count.
  BitExpander(const NoiseLayout& layout, const PackedBits& noise, std::size_t begin = 0)
      : noise_(noise), runs_(layout, begin) {}

  // Writes the bits of the next `count` elements to (count + 7) / 8 bytes at `bits`; unused bits
  // of the last byte are 0. Not past the tensor's last element.
  void Next(std::size_t count, std::uint8_t* bits);

 private:
  const PackedBits& noise_;
  NoiseRuns runs_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_BIT_EXPANDER_H_
