// The laws of the deviates over many draws. Seeds are fixed, so that a run of 5 sigma is a
// fault and not bad luck.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numbers>
#include <vector>

#include "server/kernels/concrete.h"
#include "server/kernels/deviates.h"
#include "server/random/mask_key.h"
#include "tests/kernels/naive.h"

namespace dropoutd {
namespace {

constexpr std::size_t kDraws = naive::kSanitized ? 1'000'000 : 100'000'000;
constexpr std::size_t kKolmogorovDraws = kDraws / 10;
constexpr std::size_t kChunk = std::size_t{1} << 16;
constexpr double kSigmas = 5;

using Kernel = void (*)(const kernels::NoiseStream&, std::uint64_t, std::size_t, double*);

kernels::NoiseStream Stream(std::uint64_t step) {
  return MakeNoiseStream({1, "law", KeyKind::kStep, step});
}

// Sums of powers of x, and of products of neighbours, over kDraws deviates.
struct Moments {
  double sum[5] = {};  // sum[k] of x^k.
  double within = 0;   // x[2i] x[2i + 1]: of one block.
  double across = 0;   // x[2i + 1] x[2i + 2]: of two.
};

// `shift` is taken from each deviate.
Moments MomentsOf(Kernel kernel, double shift) {
  Moments moments;
  std::vector<double> x(kChunk);
  for (std::size_t at = 0; at < kDraws; at += kChunk) {
    const std::size_t n = std::min(kChunk, kDraws - at);
    kernel(Stream(1), at, n, x.data());
    double sum[5] = {};
    for (std::size_t i = 0; i < n; ++i) {
      x[i] -= shift;
      double power = 1;
      for (double& s : sum) {
        s += power;
        power *= x[i];
      }
    }
    for (int k = 0; k < 5; ++k) moments.sum[k] += sum[k];
    for (std::size_t i = 0; i + 2 < n; i += 2) {
      moments.within += x[i] * x[i + 1];
      moments.across += x[i + 1] * x[i + 2];
    }
  }
  return moments;
}

// How far a sum of `n` independent terms is from `mean`, in standard deviations.
double Sigmas(double sum, double n, double mean, double variance) {
  return (sum - n * mean) / std::sqrt(n * variance);
}

// sqrt(n) times the largest distance between the draws' distribution and `distribution`.
template <typename Distribution>
double KolmogorovSmirnov(Kernel kernel, Distribution distribution) {
  std::vector<double> x(kKolmogorovDraws);
  kernel(Stream(2), 1, x.size(), x.data());
  std::sort(x.begin(), x.end());
  const auto n = static_cast<double>(x.size());
  double distance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double f = distribution(x[i]);
    distance =
        std::max({distance, f - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - f});
  }
  return distance * std::sqrt(n);
}

// Passed by chance but for one time in 3000: 2 exp(-2 x^2).
constexpr double kKolmogorovBound = 2.1;

TEST(DeviatesLaw, NormalMoments) {
  const Moments m = MomentsOf(kernels::NormalDeviates, 0);
  const auto n = static_cast<double>(kDraws);
  // E x^k is 0, 1, 0, 3 and the variances of x^k are 1, 2, 15, 96.
  const double sigmas[] = {Sigmas(m.sum[1], n, 0, 1),     Sigmas(m.sum[2], n, 1, 2),
                           Sigmas(m.sum[3], n, 0, 15),    Sigmas(m.sum[4], n, 3, 96),
                           Sigmas(m.within, n / 2, 0, 1), Sigmas(m.across, n / 2, 0, 1)};
  for (const double s : sigmas) {
    std::printf("%.2f sigma\n", s);
    EXPECT_LT(std::fabs(s), kSigmas);
  }
}

TEST(DeviatesLaw, NormalDistribution) {
  const double distance = KolmogorovSmirnov(
      kernels::NormalDeviates, [](double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; });
  std::printf("Kolmogorov-Smirnov, %zu draws: %.3f\n", kKolmogorovDraws, distance);
  EXPECT_LT(distance, kKolmogorovBound);
}

// The tail: as many deviates beyond 4 and 5 as there should be, on either side.
TEST(DeviatesLaw, NormalTails) {
  std::vector<double> x(kChunk);
  double beyond[2][2] = {};
  for (std::size_t at = 0; at < kDraws; at += kChunk) {
    const std::size_t n = std::min(kChunk, kDraws - at);
    kernels::NormalDeviates(Stream(3), at, n, x.data());
    for (std::size_t i = 0; i < n; ++i) {
      for (int k = 0; k < 2; ++k) {
        if (std::fabs(x[i]) > 4 + k) ++beyond[k][x[i] > 0 ? 1 : 0];
      }
    }
  }
  const auto n = static_cast<double>(kDraws);
  for (int k = 0; k < 2; ++k) {
    const double p = std::erfc((4 + k) / std::numbers::sqrt2) / 2;
    for (const double count : beyond[k]) {
      // The allowance for the few beyond 5: a Poisson count is not quite normal.
      EXPECT_LT(std::fabs(Sigmas(count, n, p, p)), kSigmas + 1) << "beyond " << 4 + k;
    }
  }
}

TEST(DeviatesLaw, UniformMoments) {
  const Moments m = MomentsOf(kernels::UniformDeviates, 0.5);
  const auto n = static_cast<double>(kDraws);
  const double sigmas[] = {
      Sigmas(m.sum[1], n, 0, 1.0 / 12), Sigmas(m.sum[2], n, 1.0 / 12, 1.0 / 180),
      Sigmas(m.within, n / 2, 0, 1.0 / 144), Sigmas(m.across, n / 2, 0, 1.0 / 144)};
  for (const double s : sigmas) EXPECT_LT(std::fabs(s), kSigmas);
}

TEST(DeviatesLaw, UniformDistribution) {
  const double distance = KolmogorovSmirnov(kernels::UniformDeviates, [](double x) { return x; });
  std::printf("Kolmogorov-Smirnov, %zu draws: %.3f\n", kKolmogorovDraws, distance);
  EXPECT_LT(distance, kKolmogorovBound);
}

// P(z > 1/2) = p, because z > 1/2 where logit p + logit u > 0.
TEST(DeviatesLaw, ConcreteDropsWithProbabilityP) {
  std::vector<double> z(kKolmogorovDraws);
  for (const double p : {0.1, 0.3, 0.7}) {
    kernels::UniformDeviates(Stream(4), 0, z.size(), z.data());
    kernels::ConcreteDrop(z.data(), z.size(), std::log(p / (1 - p)), 0.1, z.data());
    const auto dropped = std::count_if(z.begin(), z.end(), [](double v) { return v > 0.5; });
    const auto n = static_cast<double>(z.size());
    EXPECT_LT(std::fabs(Sigmas(static_cast<double>(dropped), n, p, p * (1 - p))), kSigmas) << p;
  }
}

}  // namespace
}  // namespace dropoutd
