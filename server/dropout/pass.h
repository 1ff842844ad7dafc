// Carries out a plan on the elements of a tensor, a piece at a time.
#ifndef DROPOUTD_SERVER_DROPOUT_PASS_H_
#define DROPOUTD_SERVER_DROPOUT_PASS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "server/dropout/data_type.h"
#include "server/dropout/multipliers.h"
#include "server/dropout/packed_bits.h"
#include "server/dropout/plan.h"

namespace dropoutd {

using SharedBits = std::shared_ptr<const PackedBits>;

// One pass over a tensor, of any plan but kLinear. Draws what it needs: bits of shared or block
// noise when it is made, of elementwise noise with the elements. Holds no lock. Not movable: it
// refers to its own plan.
class Pass {
 public:
  // Pieces begin at multiples of this many elements.
  static constexpr std::size_t kGranule = 64;

  enum class Bits { kKeep, kForget };

  // `bits`: of the plan's noise, where they are known; required for a sequential generator.
  // kKeep: fresh bits are collected for TakeBits.
  Pass(const Plan& plan, DataType dtype, SharedBits bits, Bits fresh_bits);
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  // Elements begin .. begin + n - 1, from x to y: row-major, any alignment, the same place or not
  // overlapping. begin and, but for the tensor's end, n are multiples of kGranule. Any number of
  // threads may work at once on elements of their own.
  void Run(std::size_t begin, std::size_t n, const void* x, void* y) const;

  // The noise's bits, once all elements have run: null if the noise is not bits, nothing is drawn,
  // or fresh ones were not kept.
  SharedBits bits() const { return is_fresh_ ? kept_ : bits_; }

  // Of block noise: one a sample, or one in all; else empty.
  const std::vector<double>& sample_scales() const { return sample_scales_; }

 private:
  struct Piece;

  void ScaleAll(const Piece& piece) const;
  void Mask(const Piece& piece) const;
  void MaskFresh(const Piece& piece) const;
  void MaskBlocks(const Piece& piece) const;
  void Multiply(const Piece& piece) const;
  void ApplyBits(const Piece& piece, std::size_t begin, std::size_t n, const std::uint8_t* bits,
                 double scale) const;

  const Plan plan_;
  const DataType dtype_;
  const std::size_t count_;
  bool is_fresh_ = false;             // Bits are drawn with the elements,
  std::shared_ptr<PackedBits> kept_;  // and collected here, if they are kept.
  SharedBits bits_;                   // Known before them.
  std::vector<double> sample_scales_;
  std::optional<Multipliers> multipliers_;
};

// The bits of the plan's whole noise. Only for a plan that Draws() bits, with a counter-based
// generator, and not for kLinear's.
PackedBits DrawBits(const Plan& plan);

// Bits that say the same as a plan that does not draw: all kept.
PackedBits KeepAllBits(const Plan& plan);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_PASS_H_
