#include "server/kernels/concrete.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "server/kernels/deviates.h"
#include "server/kernels/elementary.h"
#include "tests/kernels/naive.h"
#include "tests/kernels/naive_noise.h"
#include "tests/kernels/place.h"
#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd::kernels {
namespace {

constexpr std::size_t kMaxTail = 130;
constexpr double kGuard = -12345;

struct Parameters {
  double logit_p;
  double temperature;
};
constexpr Parameters kParameters[] = {
    {-0.8472978603872037, 0.1}, {2, 2.0 / 3}, {-30, 0.1}, {30, 1}, {0, 1e-300}, {700, 1e-3}};

std::vector<double> Uniforms(std::size_t n) {
  std::vector<double> u(n);
  UniformDeviates({{1, 2}, 3}, 5, n, u.data());
  const double edges[] = {0x1p-24, 1 - 0x1p-24, 0.5};
  for (std::size_t i = 0; i < n; i += 11) u[i] = edges[i / 11 % 3];
  return u;
}

ConcreteWeight WeightOf(double logit_p, double temperature) {
  const double p = Sigmoid(logit_p);
  const double q = Sigmoid(-logit_p);
  return {1 / (q * q), (1 / p + 1 / q) / (temperature * q)};
}

void Gradient(DataType dtype, const void* x, const void* dy, const double* z, std::size_t n,
              const ConcreteWeight& w, ExactSum& sum) {
  switch (dtype) {
    case DataType::kFloat32:
      return ConcreteGradientF32(x, dy, z, n, w, sum);
    case DataType::kFloat64:
      return ConcreteGradientF64(x, dy, z, n, w, sum);
    case DataType::kFloat16:
      return ConcreteGradientF16(x, dy, z, n, w, sum);
    case DataType::kBFloat16:
      return ConcreteGradientBF16(x, dy, z, n, w, sum);
  }
}

std::size_t Size(DataType dtype) { return static_cast<std::size_t>(ElementSize(dtype)); }

// Elements between -4 and 4.
Bytes Tensor(DataType dtype, std::size_t n, std::uint64_t seed) {
  const Bytes random = naive::RandomBytes(4 * n, seed);
  Bytes x(n * Size(dtype));
  for (std::size_t i = 0; i < n; ++i) {
    const auto word =
        static_cast<std::int32_t>(naive::LoadElement(DataType::kFloat32, random.data(), i));
    const double value = word * 0x1p-29;
    const std::uint64_t bits = dtype == DataType::kFloat64
                                   ? std::bit_cast<std::uint64_t>(value)
                                   : naive::AffineElement(dtype, 0, 0, value);
    naive::StoreElement(dtype, bits, x.data(), i);
  }
  return x;
}

class ConcreteTest : public SimdTargetFixture {};

TEST_P(ConcreteTest, DropAgreesWithTwinAtEveryTail) {
  const std::vector<double> u = Uniforms(kMaxTail);
  for (const Parameters& at : kParameters) {
    for (std::size_t n = 0; n <= kMaxTail; ++n) {
      // No readable value past the last, for the address sanitizer to see.
      const std::vector<double> input(u.begin(), u.begin() + static_cast<std::ptrdiff_t>(n));
      std::vector<double> z(n + 1, kGuard);
      ConcreteDrop(input.data(), n, at.logit_p, at.temperature, z.data());
      ASSERT_EQ(z.back(), kGuard);
      std::vector<double> in_place = input;
      ConcreteDrop(in_place.data(), n, at.logit_p, at.temperature, in_place.data());
      for (std::size_t i = 0; i < n; ++i) {
        const double expected = naive::ConcreteDrop(u[i], at.logit_p, at.temperature);
        ASSERT_EQ(std::bit_cast<std::uint64_t>(z[i]), std::bit_cast<std::uint64_t>(expected))
            << "logit_p " << at.logit_p << " u " << u[i];
        ASSERT_EQ(in_place[i], expected);
        ASSERT_TRUE(z[i] >= 0 && z[i] <= 1);
      }
    }
  }
}

TEST_P(ConcreteTest, GradientAgreesWithTwinAtEveryTailAndMisalignment) {
  const Parameters at = kParameters[0];
  std::vector<double> z = Uniforms(kMaxTail);
  ConcreteDrop(z.data(), z.size(), at.logit_p, at.temperature, z.data());
  const ConcreteWeight weight = WeightOf(at.logit_p, at.temperature);
  for (const DataType dtype : naive::kDataTypes) {
    const Bytes x = Tensor(dtype, kMaxTail, 1);
    const Bytes dy = Tensor(dtype, kMaxTail, 2);
    for (std::size_t n = 0; n <= kMaxTail; ++n) {
      const std::vector<double> zs(z.begin(), z.begin() + static_cast<std::ptrdiff_t>(n));
      ExactSum expected;
      for (const double s : naive::ConcreteGroupSums(dtype, x, dy, zs, weight)) expected.Add(s);
      Place xs(kMaxTail * 8);
      Place dys(kMaxTail * 8);
      const auto end = static_cast<std::ptrdiff_t>(n * Size(dtype));
      for (const std::size_t m : {0, 1, 7}) {
        ExactSum sum;
        Gradient(dtype, xs.Fill(m, {x.begin(), x.begin() + end}),
                 dys.Fill(2 * m, {dy.begin(), dy.begin() + end}), zs.data(), n, weight, sum);
        ASSERT_EQ(std::bit_cast<std::uint64_t>(sum.Value()),
                  std::bit_cast<std::uint64_t>(expected.Value()))
            << naive::Name(dtype) << " n " << n;
      }
    }
  }
}

TEST_P(ConcreteTest, GradientIsTheSameInAnyPieces) {
  constexpr std::size_t kCount = 10'007;
  const ConcreteWeight weight = WeightOf(0.3, 0.1);
  std::vector<double> z = Uniforms(kCount);
  ConcreteDrop(z.data(), kCount, 0.3, 0.1, z.data());
  for (const DataType dtype : naive::kDataTypes) {
    const Bytes x = Tensor(dtype, kCount, 1);
    const Bytes dy = Tensor(dtype, kCount, 2);
    ExactSum whole;
    Gradient(dtype, x.data(), dy.data(), z.data(), kCount, weight, whole);
    EXPECT_NE(whole.Value(), 0);
    for (const std::size_t piece : {64, 640, 4096}) {
      ExactSum sums[2];  // As two threads would have them.
      for (std::size_t at = 0; at < kCount; at += piece) {
        Gradient(dtype, x.data() + at * Size(dtype), dy.data() + at * Size(dtype), z.data() + at,
                 std::min(piece, kCount - at), weight, sums[at / piece % 2]);
      }
      sums[1].Add(sums[0]);
      EXPECT_EQ(sums[1].Value(), whole.Value()) << naive::Name(dtype) << " " << piece;
    }
  }
}

// Central differences of L = sum dy x (1 - z(theta)) / q(theta), u held fixed, in long double.
TEST_P(ConcreteTest, GradientIsTheDerivative) {
  constexpr std::size_t kCount = 1000;
  constexpr double kTemperature = 2.0 / 3;
  const Bytes x = Tensor(DataType::kFloat64, kCount, 1);
  const Bytes dy = Tensor(DataType::kFloat64, kCount, 2);
  const std::vector<double> u = Uniforms(kCount);
  const auto loss = [&](long double theta) {
    const long double q = 1 / (1 + std::exp(theta));
    long double sum = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      const long double v = (theta + std::log(u[i] / (1.0L - u[i]))) / kTemperature;
      const long double kept = 1 / (1 + std::exp(v));
      sum +=
          naive::Value(DataType::kFloat64, naive::LoadElement(DataType::kFloat64, dy.data(), i)) *
          naive::Value(DataType::kFloat64, naive::LoadElement(DataType::kFloat64, x.data(), i)) *
          kept / q;
    }
    return sum;
  };
  for (const double theta : {-1.5, 0.2, 1.0}) {
    std::vector<double> z(kCount);
    ConcreteDrop(u.data(), kCount, theta, kTemperature, z.data());
    ExactSum sum;
    Gradient(DataType::kFloat64, x.data(), dy.data(), z.data(), kCount,
             WeightOf(theta, kTemperature), sum);
    const double gradient = Sigmoid(theta) * Sigmoid(-theta) * sum.Value();
    constexpr long double kStep = 1e-6L;
    const auto expected =
        static_cast<double>((loss(theta + kStep) - loss(theta - kStep)) / (2 * kStep));
    EXPECT_NEAR(gradient / expected, 1, 1e-8) << theta;
  }
}

TEST_P(ConcreteTest, FullyDroppedElementsAddNothing) {
  const std::vector<double> z(kMaxTail, 1.0);
  for (const DataType dtype : naive::kDataTypes) {
    const Bytes nan(kMaxTail * Size(dtype), 0xFF);
    ExactSum sum;
    Gradient(dtype, nan.data(), nan.data(), z.data(), kMaxTail, WeightOf(0, 0.1), sum);
    EXPECT_EQ(sum.Value(), 0) << naive::Name(dtype);
  }
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(ConcreteTest);

}  // namespace
}  // namespace dropoutd::kernels
