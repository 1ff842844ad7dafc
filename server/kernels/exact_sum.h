// A sum of float64 values without rounding: its result depends neither on their order nor
// on how they are split over threads and pieces.
//
// A fixed-point number as wide as all float64 values (Kulisch, "Computer Arithmetic and
// Validity", 2008). About 600 bytes; one thread at a time.
#ifndef DROPOUTD_SERVER_KERNELS_EXACT_SUM_H_
#define DROPOUTD_SERVER_KERNELS_EXACT_SUM_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace dropoutd::kernels {

class ExactSum {
 public:
  void Add(double value);
  void Add(const ExactSum& other);

  // The sum, rounded once to nearest, ties to even. Infinities and NaNs add up as IEEE 754
  // has it; a NaN is the default quiet one.
  double Value() const;

 private:
  // In units of 2^-1074, the least subnormal: limb i counts 2^(32 i). Between two calls of
  // Carry a limb leaves its 32 bits, but not its 64.
  static constexpr std::size_t kLimbs = 68;
  using Limbs = std::array<std::int64_t, kLimbs>;

  // Brings all limbs but the last into [0, 2^32).
  static void Carry(Limbs& limbs);

  void CarryBeforeOverflow(std::int64_t additions);

  Limbs limbs_{};
  std::int64_t additions_ = 0;  // Since the last Carry.
  double special_ = 0;          // Sum of the infinities and NaNs.
};

}  // namespace dropoutd::kernels

#endif  // DROPOUTD_SERVER_KERNELS_EXACT_SUM_H_
