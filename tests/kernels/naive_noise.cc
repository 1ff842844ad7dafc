#include "tests/kernels/naive_noise.h"

#include <algorithm>
#include <cmath>

#include "server/random/philox.h"
#include "tests/kernels/naive.h"

namespace dropoutd::naive {
namespace {

constexpr double kLn2High = 0x1.62e42feep-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

double Factorial(int n) { return n < 2 ? 1 : n * Factorial(n - 1); }

// c_first + x (c_(first + step) + x (... + x c_last)).
template <typename Coefficient>
double Horner(double x, int first, int last, int step, Coefficient c) {
  double sum = c(last);
  for (int i = last - step; i >= first; i -= step) sum = sum * x + c(i);
  return sum;
}

// The nearest integer, ties to even: the rounding mode is the default one.
double Nearest(double x) { return std::nearbyint(x); }

double Sin(double a) {
  const double z = a * a;
  const auto c = [](int n) { return (n / 2 % 2 == 1 ? -1 : 1) / Factorial(n); };
  return a + a * z * Horner(z, 3, 17, 2, c);
}

double Cos(double a) {
  const double z = a * a;
  const auto c = [](int n) { return (n / 2 % 2 == 1 ? -1 : 1) / Factorial(n); };
  return 1 + z * Horner(z, 2, 16, 2, c);
}

std::uint64_t Word(const kernels::NoiseStream& stream, std::uint64_t index, std::uint32_t domain,
                   std::size_t which) {
  const std::uint64_t block = index / 2;
  const PhiloxBlock x =
      Philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                  stream.counter2, domain},
                 {stream.key[0], stream.key[1]});
  return x[2 * which] + (std::uint64_t{x[2 * which + 1]} << 32);
}

double Weight(double z, const kernels::ConcreteWeight& w) { return (1 - z) * (w.a - z * w.b); }

}  // namespace

double Log(double x) {
  int k = 0;
  double m = std::frexp(x, &k);
  if (m < 0x1.6a09e667f3bcdp-1) {
    m *= 2;
    --k;
  }
  const double f = m - 1;
  const double s = f / (2 + f);
  const double z = s * s;
  const double r = z * Horner(z, 1, 10, 1, [](int i) { return 2.0 / (2 * i + 1); });
  const double h = 0.5 * f * f;
  return k * kLn2High - ((h - (s * (h + r) + k * kLn2Low)) - f);
}

double Exp(double x) {
  x = std::clamp(x, -746.0, 710.0);
  const double k = Nearest(x * 0x1.71547652b82fep+0);
  const double r = x - k * kLn2High - k * kLn2Low;
  const double tail = r * r * Horner(r, 2, 13, 1, [](int n) { return 1 / Factorial(n); });
  const double half = Nearest(k * 0.5);
  const double e = std::ldexp(1 + (r + tail), static_cast<int>(half));
  return std::ldexp(e, static_cast<int>(k - half));
}

double SinTurns(double u) {
  const double k = Nearest(4 * u);
  const double a = (u - k * 0.25) * 0x1.921fb54442d18p+2;
  switch (static_cast<std::int64_t>(k) & 3) {
    case 0:
      return Sin(a);
    case 1:
      return Cos(a);
    case 2:
      return -Sin(a);
    default:
      return -Cos(a);
  }
}

double CosTurns(double u) {
  const double k = Nearest(4 * u);
  const double a = (u - k * 0.25) * 0x1.921fb54442d18p+2;
  switch (static_cast<std::int64_t>(k) & 3) {
    case 0:
      return Cos(a);
    case 1:
      return -Sin(a);
    case 2:
      return -Cos(a);
    default:
      return Sin(a);
  }
}

double Sigmoid(double v) { return 1 / (1 + Exp(-v)); }

double NormalDeviate(const kernels::NoiseStream& stream, std::uint64_t index) {
  const std::uint64_t a = Word(stream, index, 2, 0);
  const std::uint64_t b = Word(stream, index, 2, 1);
  const double u1 = std::ldexp(static_cast<double>((a >> 11) + 1), -53);
  const double u2 = std::ldexp(static_cast<double>(b >> 11), -53);
  const double r = std::sqrt(-2 * Log(u1));
  return r * (index % 2 == 0 ? CosTurns(u2) : SinTurns(u2));
}

double UniformDeviate(const kernels::NoiseStream& stream, std::uint64_t index) {
  const std::uint64_t a = Word(stream, index, 3, index % 2);
  const double u = std::ldexp(static_cast<double>(2 * (a >> 12) + 1), -53);
  return std::clamp(u, 0x1p-24, 1 - 0x1p-24);
}

double ConcreteDrop(double u, double logit_p, double temperature) {
  return Sigmoid((logit_p + (Log(u) - Log(1 - u))) / temperature);
}

std::vector<double> ConcreteGroupSums(DataType dtype, const std::vector<std::uint8_t>& x,
                                      const std::vector<std::uint8_t>& dy,
                                      const std::vector<double>& z,
                                      const kernels::ConcreteWeight& weight) {
  std::vector<double> sums;
  for (std::size_t group = 0; group < z.size(); group += 64) {
    double s[8] = {};
    for (std::size_t i = group; i < std::min(group + 64, z.size()); ++i) {
      const double w = Weight(z[i], weight);
      if (w == 0) continue;
      const double product = Value(dtype, LoadElement(dtype, dy.data(), i)) *
                             Value(dtype, LoadElement(dtype, x.data(), i));
      s[i % 8] += product * w;
    }
    sums.push_back(((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])));
  }
  return sums;
}

}  // namespace dropoutd::naive
