// Noise that is not binary: one multiplier an element.
#ifndef DROPOUTD_SERVER_DROPOUT_MULTIPLIERS_H_
#define DROPOUTD_SERVER_DROPOUT_MULTIPLIERS_H_

#include <cstddef>
#include <vector>

#include "server/dropout/plan.h"

namespace dropoutd {

// The noise of a kMultiply plan: e ~ N(0, 1) for Gaussian noise, z for relaxed Bernoulli noise
// (docs/mask-format.md). Draws of elementwise noise are made when asked for; shared ones are
// made once. Thread-safe; refers to `plan`, which must outlive it.
class Multipliers {
 public:
  explicit Multipliers(const Plan& plan);

  // The noise of elements begin .. begin + n - 1 of the tensor.
  void Noise(std::size_t begin, std::size_t n, double* noise) const;

  // What they are multiplied by, in place of their noise: 1 + s e, or (1 - z) / q.
  void FromNoise(std::size_t n, double* noise) const;

 private:
  void Draw(std::size_t begin, std::size_t n, double* noise) const;
  void DrawPiece(std::size_t begin, std::size_t n, double* noise) const;

  const Plan& plan_;
  std::vector<double> shared_;  // All draws, where the noise is not elementwise.
};

// The first n draws of the plan's noise, row-major; n is at most their number.
std::vector<double> DrawNoise(const Plan& plan, std::size_t n);

// The multipliers of the plan's whole noise, row-major.
std::vector<double> DrawMultipliers(const Plan& plan);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_MULTIPLIERS_H_
