#include "server/dropout/block_rate.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <vector>

#include "server/base/running_work.h"

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

// How many positions c blocks cover, as a share of all.
struct Term {
  std::size_t count;  // c, 1 or more.
  double weight;
};

// By rising count.
std::vector<Term> TermsOf(const Coverage& coverage, double places) {
  std::vector<Term> terms;
  for (const auto& [count, number] : coverage) {
    terms.push_back({static_cast<std::size_t>(count), number / places});
  }
  return terms;
}

// powers[e] = base^e by repeated squaring, the lowest bit of e first: what the lower bits of e
// make, times the square that belongs to its highest bit. Every exponent shares the squares.
void FillPowers(double base, std::span<double> powers) {
  powers[0] = 1.0;
  for (std::size_t bit = 1; bit < powers.size(); bit *= 2, base *= base) {
    const std::size_t end = std::min(2 * bit, powers.size());
    for (std::size_t e = bit; e < end; ++e) powers[e] = powers[e - bit] * base;
  }
}

// The slope of the dropped share at gamma 0. One sum for both rules below, because the format fixes
// the order of its operations.
double SlopeAtZero(std::span<const Term> terms) {
  double slope = 0.0;
  for (const Term& term : terms) slope += term.weight * static_cast<double>(term.count);
  return slope;
}

// Newton's method from 0 on the dropped share 1 - sum w_c (1-g)^c, which rises and is concave in
// g: every step stays at or below the root, so that the first one that does not rise is the end.
// Where rounding makes the steps small, kMaxSteps is the end. Below kTinyP, 1 - g has lost g, and
// the share is g times its slope at 0.
double ExactRate(double p, std::span<const Term> terms) {
  constexpr double kTinyP = 0x1p-40;
  constexpr int kMaxSteps = 4096;
  if (p < kTinyP) return p / SlopeAtZero(terms);
  std::vector<double> powers(terms.back().count);
  double gamma = 0.0;
  WorkMeter meter;
  for (int step = 0; step < kMaxSteps; ++step) {
    meter.Add(powers.size());
    FillPowers(1.0 - gamma, powers);
    double kept = 0.0;
    double slope = 0.0;
    for (const auto& [count, weight] : terms) {
      const double power = powers[count - 1];
      kept += weight * (power * (1.0 - gamma));
      slope += weight * (static_cast<double>(count) * power);
    }
    const double next = gamma + (p - (1.0 - kept)) / slope;
    if (!(next > gamma) || next >= 1.0) break;
    gamma = next;
  }
  return gamma;
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
  return ExactRate(p, TermsOf(coverage, positions));
}

}  // namespace dropoutd
