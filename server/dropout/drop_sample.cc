#include "server/dropout/drop_sample.h"

#include <algorithm>
#include <vector>

#include "server/dropout/multipliers.h"
#include "server/kernels/bernoulli_bits.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMostRead = 65'536;

// A small part of what the call itself drew; of few elements, enough to add up over calls.
std::size_t CountDrawn(const Plan& plan) {
  constexpr std::size_t kShare = 64, kLeast = 16, kMost = 1024;
  const auto count = static_cast<std::size_t>(plan.layout.noise.ElementCount());
  return std::min(count, std::clamp(count / kShare, kLeast, kMost));
}

DropSample ReadBits(const PackedBits& bits, double p) {
  const std::size_t count = std::min(bits.count(), kMostRead);
  return {count, count - bits.CountKept(0, count), p * static_cast<double>(count)};
}

DropSample DrawMultiplierNoise(const Plan& plan, std::size_t count) {
  const std::vector<double> noise = DrawNoise(plan, count);
  const bool is_gaussian = plan.law == NoiseLaw::kGaussian;
  const auto is_dropped = [&](double value) { return is_gaussian ? value < 0.0 : value > 0.5; };
  const auto dropped = std::count_if(noise.begin(), noise.end(), is_dropped);
  return {count, static_cast<std::size_t>(dropped),
          (is_gaussian ? 0.5 : plan.rate.p) * static_cast<double>(count)};
}

}  // namespace

DropSample SampleDrops(const Plan& plan, const PackedBits* bits) {
  if (bits != nullptr) return ReadBits(*bits, plan.rate.p);
  const std::size_t count = CountDrawn(plan);
  if (!plan.IsBinary()) return DrawMultiplierNoise(plan, count);
  PackedBits drawn(count);
  kernels::BernoulliBits(plan.stream, plan.layout.first_index, count, drawn.data());
  return ReadBits(drawn, plan.rate.p);
}

}  // namespace dropoutd
