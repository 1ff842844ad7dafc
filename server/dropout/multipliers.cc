#include "server/dropout/multipliers.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "server/base/running_work.h"
#include "server/dropout/noise_runs.h"
#include "server/kernels/concrete.h"
#include "server/kernels/deviates.h"

namespace dropoutd {
namespace {

std::size_t NoiseCount(const Plan& plan) {
  return static_cast<std::size_t>(plan.layout.noise.ElementCount());
}

void ToMultipliers(const Plan& plan, std::size_t n, double* noise) {
  const double q = plan.rate.q;
  if (plan.law == NoiseLaw::kGaussian) {
    const double s = std::sqrt(plan.rate.p / q);
    for (std::size_t i = 0; i < n; ++i) noise[i] = 1.0 + s * noise[i];
  } else {
    for (std::size_t i = 0; i < n; ++i) noise[i] = (1.0 - noise[i]) / q;
  }
}

}  // namespace

Multipliers::Multipliers(const Plan& plan) : plan_(plan) {
  if (plan.layout.IsElementwise()) return;
  shared_.resize(NoiseCount(plan));
  Draw(0, shared_.size(), shared_.data());
}

// The noise of a whole tensor in pieces, between which the work shows that it goes on.
void Multipliers::Draw(std::size_t begin, std::size_t n, double* noise) const {
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  for (; n > kPiece; begin += kPiece, noise += kPiece, n -= kPiece) {
    DrawPiece(begin, kPiece, noise);
    Checkpoint();
  }
  DrawPiece(begin, n, noise);
}

void Multipliers::DrawPiece(std::size_t begin, std::size_t n, double* noise) const {
  const std::uint64_t first = plan_.layout.first_index + begin;
  if (plan_.law == NoiseLaw::kGaussian) {
    kernels::NormalDeviates(plan_.stream, first, n, noise);
  } else {
    kernels::UniformDeviates(plan_.stream, first, n, noise);
    kernels::ConcreteDrop(noise, n, plan_.rate.logit_p, plan_.temperature, noise);
  }
}

void Multipliers::Noise(std::size_t begin, std::size_t n, double* noise) const {
  if (shared_.empty()) return Draw(begin, n, noise);
  NoiseRuns runs(plan_.layout, begin);
  while (n != 0) {
    const NoiseRun run = runs.Next(n);
    if (run.repeated) {
      std::fill_n(noise, run.count, shared_[run.noise_at]);
    } else {
      std::memcpy(noise, &shared_[run.noise_at], run.count * sizeof(double));
    }
    noise += run.count;
    n -= run.count;
  }
}

void Multipliers::FromNoise(std::size_t n, double* noise) const { ToMultipliers(plan_, n, noise); }

std::vector<double> DrawNoise(const Plan& plan, std::size_t n) {
  // The noise itself as the tensor: each draw once.
  Plan own = plan;
  own.layout.tensor = plan.layout.noise;
  std::vector<double> noise(n);
  Multipliers(own).Noise(0, n, noise.data());
  return noise;
}

std::vector<double> DrawMultipliers(const Plan& plan) {
  std::vector<double> multipliers = DrawNoise(plan, NoiseCount(plan));
  ToMultipliers(plan, multipliers.size(), multipliers.data());
  return multipliers;
}

}  // namespace dropoutd
