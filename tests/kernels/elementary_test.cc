// Accuracy of the elementary functions, and their edges. That every instruction set gives
// these bits is shown by the tests of the kernels that are made of them.
#include "server/kernels/elementary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <random>

#include "tests/kernels/naive.h"
#include "tests/kernels/naive_noise.h"

namespace dropoutd::kernels {
namespace {

constexpr int kPoints = naive::kSanitized ? 100'000 : 2'000'000;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMin = std::numeric_limits<double>::min();

// The distance of `value` from the exact result, in units in the last place of that.
double Ulps(double value, long double exact) {
  const double nearest = std::fabs(static_cast<double>(exact));
  const double ulp = std::nextafter(nearest, kInfinity) - nearest;
  return static_cast<double>(std::fabs(static_cast<long double>(value) - exact) / ulp);
}

// The largest error of f against `exact` over what `draw` makes.
template <typename F, typename Exact, typename Draw>
double WorstUlps(F f, Exact exact, Draw draw) {
  std::mt19937_64 engine(1);
  double worst = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double x = draw(engine);
    worst = std::max(worst, Ulps(f(x), exact(static_cast<long double>(x))));
  }
  return worst;
}

auto Uniform(double low, double high) {
  return [=](std::mt19937_64& engine) {
    return std::uniform_real_distribution<double>(low, high)(engine);
  };
}

// Any positive normal number: every exponent is as likely.
double AnyPositive(std::mt19937_64& engine) {
  const std::uint64_t lowest = std::bit_cast<std::uint64_t>(kMin);
  const std::uint64_t infinity = std::bit_cast<std::uint64_t>(kInfinity);
  return std::bit_cast<double>(lowest + engine() % (infinity - lowest));
}

long double ExactLog(long double x) { return std::log(x); }
long double ExactExp(long double x) { return std::exp(x); }

TEST(Elementary, LogIsWithinAnUlp) {
  for (const double worst :
       {WorstUlps(Log, ExactLog, Uniform(0, 1)), WorstUlps(Log, ExactLog, Uniform(0.5, 2)),
        WorstUlps(Log, ExactLog, Uniform(0.999, 1.001)), WorstUlps(Log, ExactLog, AnyPositive)}) {
    std::printf("log: %.3f ulp\n", worst);
    EXPECT_LT(worst, 1);
  }
}

TEST(Elementary, ExpIsWithinAnUlp) {
  for (const double worst :
       {WorstUlps(Exp, ExactExp, Uniform(-1, 1)), WorstUlps(Exp, ExactExp, Uniform(-40, 40)),
        WorstUlps(Exp, ExactExp, Uniform(-708, 709.7))}) {
    std::printf("exp: %.3f ulp\n", worst);
    EXPECT_LT(worst, 1);
  }
}

// Near a zero of the cosine its argument's rounding shows: what is bounded there is the
// error as a part of the result, because x is exact.
TEST(Elementary, CosPiIsWithinTwoUlp) {
  const auto exact = [](long double x) { return std::cos(std::numbers::pi_v<long double> * x); };
  const double worst = WorstUlps(CosPi, exact, Uniform(-0.499, 0.499));
  std::printf("cos: %.3f ulp\n", worst);
  EXPECT_LT(worst, 2);
}

TEST(Elementary, SigmoidIsWithinThreeUlp) {
  const auto exact = [](long double v) { return 1 / (1 + std::exp(-v)); };
  const double worst = WorstUlps(Sigmoid, exact, Uniform(-40, 40));
  std::printf("sigmoid: %.3f ulp\n", worst);
  EXPECT_LT(worst, 3);
}

TEST(Elementary, AgreeWithTheirTwins) {
  std::mt19937_64 engine(2);
  for (int i = 0; i < kPoints / 10; ++i) {
    const double x = AnyPositive(engine);
    ASSERT_EQ(Log(x), naive::Log(x)) << x;
    const double v = Uniform(-800, 800)(engine);
    ASSERT_EQ(Exp(v), naive::Exp(v)) << v;
    ASSERT_EQ(Sigmoid(v), naive::Sigmoid(v)) << v;
    const double turns = Uniform(-1000, 1000)(engine);
    ASSERT_EQ(CosPi(2 * turns), naive::CosTurns(turns)) << turns;
  }
}

TEST(Elementary, ExactWhereTheResultIs) {
  EXPECT_EQ(std::bit_cast<std::uint64_t>(Log(1)), 0u);
  EXPECT_EQ(Exp(0), 1);
  EXPECT_EQ(Exp(-0.0), 1);
  EXPECT_EQ(Sigmoid(0), 0.5);
  EXPECT_EQ(CosPi(0), 1);
  EXPECT_EQ(CosPi(0.5), 0);
  EXPECT_EQ(CosPi(1), -1);
  EXPECT_EQ(CosPi(1.5), 0);
  EXPECT_EQ(CosPi(-1), -1);
  EXPECT_EQ(CosPi(2), 1);
  EXPECT_EQ(CosPi(0x1p50), 1);
}

TEST(Elementary, Edges) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Log(0), -kInfinity);
  EXPECT_EQ(Log(-0.0), -kInfinity);
  EXPECT_EQ(Log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(Log(-1)));
  EXPECT_TRUE(std::isnan(Log(kNan)));
  EXPECT_LT(Ulps(Log(0x1p-1074), std::log(0x1p-1074L)), 1);
  EXPECT_LT(Ulps(Log(kMin / 3), std::log(static_cast<long double>(kMin / 3))), 1);
  EXPECT_EQ(Exp(kInfinity), kInfinity);
  EXPECT_EQ(Exp(709.79), kInfinity);
  EXPECT_EQ(Exp(1e300), kInfinity);
  EXPECT_LT(Exp(709.78), kInfinity);
  EXPECT_EQ(Exp(-kInfinity), 0);
  EXPECT_EQ(Exp(-745.2), 0);
  EXPECT_EQ(Exp(-745.1), 0x1p-1074);
  EXPECT_TRUE(std::isnan(Exp(kNan)));
  EXPECT_EQ(Sigmoid(kInfinity), 1);
  EXPECT_EQ(Sigmoid(-kInfinity), 0);
  EXPECT_GT(Sigmoid(-700), 0);
  EXPECT_TRUE(std::isnan(Sigmoid(kNan)));
  EXPECT_TRUE(std::isnan(CosPi(kInfinity)));
  EXPECT_TRUE(std::isnan(CosPi(kNan)));
  EXPECT_TRUE(std::isnan(CosPi(0x1.1p50)));
}

}  // namespace
}  // namespace dropoutd::kernels
