// The known answers of tests/reference/mask_vectors.json for noise that is not binary, on
// every instruction set.
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "server/kernels/concrete.h"
#include "server/kernels/deviates.h"
#include "server/kernels/elementary.h"
#include "server/kernels/exact_sum.h"
#include "server/random/mask_key.h"
#include "tests/kernels/simd_target_fixture.h"
#include "tests/random/mask_vectors.h"

namespace dropoutd {
namespace {

using Json = nlohmann::json;
using Doubles = std::vector<double>;

Doubles ToDoubles(const Json& list) {
  Doubles values;
  for (const Json& text : list) values.push_back(HexToDouble(text));
  return values;
}

// As bits, so that zeros of other signs differ.
std::vector<std::uint64_t> Bits(const Doubles& values) {
  std::vector<std::uint64_t> bits;
  for (const double value : values) bits.push_back(std::bit_cast<std::uint64_t>(value));
  return bits;
}

class NoiseVectorsTest : public SimdTargetFixture {};

TEST_P(NoiseVectorsTest, Deviates) {
  std::set<std::string> laws;
  for (const Json& vector : MaskVectors("deviates")) {
    const kernels::NoiseStream stream = MakeNoiseStream(ToMaskKey(vector));
    const Doubles expected = ToDoubles(vector.at("values"));
    const bool is_normal = vector.at("law") == "normal";
    Doubles drawn(expected.size());
    (is_normal ? kernels::NormalDeviates : kernels::UniformDeviates)(
        stream, ToUint64(vector.at("start")), drawn.size(), drawn.data());
    EXPECT_EQ(Bits(drawn), Bits(expected)) << vector;
    laws.insert(vector.at("law"));
  }
  EXPECT_EQ(laws, (std::set<std::string>{"normal", "uniform"}));
}

TEST_P(NoiseVectorsTest, ConcreteDrops) {
  for (const Json& vector : MaskVectors("concrete_drops")) {
    Doubles z = ToDoubles(vector.at("u"));
    kernels::ConcreteDrop(z.data(), z.size(), vector.at("logit_p"), vector.at("temperature"),
                          z.data());
    EXPECT_EQ(Bits(z), Bits(ToDoubles(vector.at("z")))) << vector;
  }
}

TEST_P(NoiseVectorsTest, ConcreteGradients) {
  for (const Json& vector : MaskVectors("concrete_gradients")) {
    const double p = kernels::Sigmoid(vector.at("logit_p"));
    const double q = kernels::Sigmoid(-vector.at("logit_p").get<double>());
    EXPECT_EQ(p, HexToDouble(vector.at("p")));
    EXPECT_EQ(q, HexToDouble(vector.at("q")));
    const double temperature = vector.at("temperature");
    const Doubles x = ToDoubles(vector.at("x"));
    const Doubles dy = ToDoubles(vector.at("dy"));
    const Doubles z = ToDoubles(vector.at("z"));
    kernels::ExactSum sum;
    kernels::ConcreteGradientF64(x.data(), dy.data(), z.data(), z.size(),
                                 {1 / (q * q), (1 / p + 1 / q) / (temperature * q)}, sum);
    EXPECT_EQ(sum.Value(), HexToDouble(vector.at("sum"))) << vector;
  }
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(NoiseVectorsTest);

double Evaluate(const std::string& function, double x) {
  if (function == "log") return kernels::Log(x);
  if (function == "exp") return kernels::Exp(x);
  if (function == "sigmoid") return kernels::Sigmoid(x);
  if (function == "cos_turns") return kernels::CosPi(2 * x);
  ADD_FAILURE() << "no function " << function;
  return 0;
}

TEST(NoiseVectors, Elementary) {
  std::set<std::string> functions;
  for (const Json& vector : MaskVectors("elementary")) {
    const std::string function = vector.at("function");
    Doubles y;
    for (const double x : ToDoubles(vector.at("x"))) y.push_back(Evaluate(function, x));
    EXPECT_EQ(Bits(y), Bits(ToDoubles(vector.at("y")))) << vector;
    functions.insert(function);
  }
  EXPECT_EQ(functions, (std::set<std::string>{"cos_turns", "exp", "log", "sigmoid"}));
}

TEST(NoiseVectors, ExactSums) {
  for (const Json& vector : MaskVectors("exact_sums")) {
    kernels::ExactSum sum;
    for (const double term : ToDoubles(vector.at("terms"))) sum.Add(term);
    EXPECT_EQ(sum.Value(), HexToDouble(vector.at("sum"))) << vector;
  }
}

}  // namespace
}  // namespace dropoutd
