#include "server/dropout/block_rate.h"

#include <algorithm>
#include <cstddef>
#include <map>

namespace dropoutd {
namespace {

// How many positions are covered by c blocks, by c.
using Coverage = std::map<std::int64_t, double>;

// Of one axis: a position x lies in the blocks that start at max(0, x-b+1) .. min(x, d-b).
Coverage AxisCoverage(std::int64_t size, std::int64_t block) {
  const std::int64_t most = std::min(block, size - block + 1);
  Coverage coverage;
  // Counts rise 1, 2, ... to `most` from both ends.
  for (std::int64_t c = 1; c < most; ++c) coverage[c] = 2.0;
  coverage[most] = static_cast<double>(size - 2 * (most - 1));
  return coverage;
}

Coverage Multiply(const Coverage& a, const Coverage& b) {
  Coverage product;
  for (const auto& [count_a, places_a] : a) {
    for (const auto& [count_b, places_b] : b) product[count_a * count_b] += places_a * places_b;
  }
  return product;
}

double Power(double base, std::int64_t exponent) {
  double power = 1.0;
  for (; exponent != 0; exponent >>= 1, base *= base) {
    if ((exponent & 1) != 0) power *= base;
  }
  return power;
}

// Newton's method from 0 on the dropped share 1 - sum w_c (1-g)^c, which rises and is concave in
// g: every step stays at or below the root, so that the first one that does not rise is the end.
double ExactRate(double p, const Coverage& coverage, double places) {
  double gamma = 0.0;
  while (true) {
    double kept = 0.0;
    double slope = 0.0;
    for (const auto& [count, number] : coverage) {
      const double weight = number / places;
      const double power = Power(1.0 - gamma, count - 1);
      kept += weight * (power * (1.0 - gamma));
      slope += weight * (static_cast<double>(count) * power);
    }
    const double next = gamma + (p - (1.0 - kept)) / slope;
    if (!(next > gamma) || next >= 1.0) return gamma;
    gamma = next;
  }
}

}  // namespace

double SeedRate(double p, std::span<const std::int64_t> sizes, std::span<const std::int64_t> blocks,
                DropBlockOptions::Gamma gamma) {
  double positions = 1.0;
  double seed_places = 1.0;
  double volume = 1.0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    positions *= static_cast<double>(sizes[i]);
    seed_places *= static_cast<double>(sizes[i] - blocks[i] + 1);
    volume *= static_cast<double>(blocks[i]);
  }
  if (gamma == DropBlockOptions::Gamma::kPaper) {
    constexpr double kMost = 0x1.fffffffffffffp-1;  // The largest probability below 1.
    return std::min(kMost, p / volume * positions / seed_places);
  }
  Coverage coverage = {{1, 1.0}};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    coverage = Multiply(coverage, AxisCoverage(sizes[i], blocks[i]));
  }
  return ExactRate(p, coverage, positions);
}

}  // namespace dropoutd
