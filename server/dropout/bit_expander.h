// From the noise's bits to one bit an element of the tensor.
#ifndef DROPOUTD_SERVER_DROPOUT_BIT_EXPANDER_H_
#define DROPOUTD_SERVER_DROPOUT_BIT_EXPANDER_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "server/dropout/noise_layout.h"
#include "server/dropout/packed_bits.h"
#include "server/dropout/shape.h"

namespace dropoutd {

// Walks the tensor's elements in order and repeats the bits of shared axes. One thread at
// a time; refers to `noise`, which must outlive it.
class BitExpander {
 public:
  BitExpander(const NoiseLayout& layout, const PackedBits& noise);

  // Writes the bits of the next `count` elements to (count + 7) / 8 bytes at `bits`. Not
  // past the tensor's last element; `count` is a multiple of 8 but for the last call.
  void Next(std::size_t count, std::uint8_t* bits);

 private:
  // Neighbouring axes of which all, or none, share their draws, merged into one.
  struct Axis {
    std::int64_t size = 1;
    std::int64_t stride = 0;  // In noise elements; 0 where draws are shared.
    std::int64_t at = 0;
  };

  void AddAxis(std::int64_t size, bool shared);
  void AdvanceOuter();

  const PackedBits& noise_;
  std::array<Axis, Shape::kMaxRank> axes_{};  // axes_[0] is the innermost.
  int axis_count_ = 0;
  std::int64_t row_start_ = 0;  // Noise index of the innermost axis's first element.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_BIT_EXPANDER_H_
