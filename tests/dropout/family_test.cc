// Every variant on every instruction set, type and split into pieces: against a twin that looks at
// one element at a time.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/dropout/linear.h"
#include "server/dropout/pass.h"
#include "server/dropout/variant.h"
#include "server/kernels/simd_target.h"
#include "tests/dropout/naive_forward.h"
#include "tests/dropout/whole_pass.h"
#include "tests/kernels/naive.h"
#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd {
namespace {

struct Case {
  VariantOptions options;
  Sizes shape;
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = [] {
    DropBlockOptions blocks;
    blocks.block_size = {3};
    DropBlockOptions last = blocks;
    last.channel_axis = -1;
    last.share_channels = true;
    DropBlockOptions batch = blocks;
    batch.normalization = DropBlockOptions::Normalization::kBatch;
    batch.gamma = DropBlockOptions::Gamma::kPaper;
    ConcreteOptions spatial;
    spatial.spatial = true;
    StochasticDepthOptions whole;
    whole.mode = StochasticDepthOptions::DepthMode::kBatch;
    DropConnectOptions weights;
    weights.target = DropConnectOptions::Target::kWeights;
    return std::vector<Case>{
        {DropoutOptions{{1}}, {5, 70, 13}},
        {GaussianOptions{}, {5, 7, 131}},
        {GaussianOptions{{0}}, {5, 7, 131}},
        {AlphaOptions{}, {5, 7, 131}},
        {FeatureAlphaOptions{}, {5, 7, 131}},
        {FeatureAlphaOptions{-1}, {5, 131, 7}},
        {SpatialOptions{}, {5, 7, 13, 11}},
        {SpatialOptions{-1}, {5, 13, 11, 7}},
        {blocks, {5, 7, 13, 11}},
        {blocks, {5, 3, 130}},
        {blocks, {3, 2, 5, 6, 7}},
        {last, {5, 13, 11, 7}},
        {batch, {5, 7, 13, 11}},
        {ConcreteOptions{}, {5, 7, 131}},
        {spatial, {5, 7, 131}},
        {weights, {70, 131}},
        {VariationalOptions{}, {50, 131}},
        {VariationalOptions{1}, {5, 70, 13}},
        {VariationalOptions{0}, {70, 5, 13}},
        {RecurrentOptions{}, {50, 131}},
        {StochasticDepthOptions{}, {50, 131}},
        {whole, {50, 131}},
    };
  }();
  return cases;
}

Plan PlanFor(const Case& c, double p = 0.3) {
  LayerConfig config;
  config.layer_id = "drop";
  config.p = p;
  config.options = c.options;
  const DropRate rate = RateAt(config, 7, InitialParameters(config));
  return MakePlan(config, Mode::kTrain, rate, {1, 7, 5, 9}, MakeShape(c.shape)).value();
}

std::string NameOf(const Case& c, DataType dtype) {
  return std::string(kVariants[c.options.index()].name) + " " + MakeShape(c.shape).ToString() +
         " " + naive::Name(dtype);
}

// Place in the noise of element `element`.
std::size_t PlaceOf(const Plan& plan, std::size_t element) {
  std::vector<bool> shared;
  for (int axis = 0; axis < plan.layout.tensor.rank(); ++axis) {
    shared.push_back(plan.layout.noise[axis] == 1 && plan.layout.tensor[axis] != 1);
  }
  const auto sizes = plan.layout.tensor.sizes();
  return naive::NoisePlace({sizes.begin(), sizes.end()}, shared, element);
}

// y = a x + b, with the operations and roundings of the compute type.
std::uint64_t Affine(DataType dtype, std::uint64_t x, double a, double b) {
  if (dtype == DataType::kFloat64) {
    double value;
    std::memcpy(&value, &x, sizeof(value));
    volatile double product = value * a;
    const double y = product + b;
    std::uint64_t bits;
    std::memcpy(&bits, &y, sizeof(bits));
    return bits;
  }
  float value;
  const auto bits32 = static_cast<std::uint32_t>(x);
  if (dtype == DataType::kFloat32) {
    std::memcpy(&value, &bits32, sizeof(value));
  } else {
    value = static_cast<float>(dtype == DataType::kFloat16
                                   ? naive::FromFloat16(static_cast<std::uint16_t>(x))
                                   : naive::FromBFloat16(static_cast<std::uint16_t>(x)));
  }
  volatile float product = value * static_cast<float>(a);
  const float y = product + static_cast<float>(b);
  if (dtype == DataType::kFloat16) return naive::ToFloat16(y);
  if (dtype == DataType::kBFloat16) return naive::ToBFloat16(y);
  std::uint32_t bits;
  std::memcpy(&bits, &y, sizeof(bits));
  return bits;
}

// Finite values, so that a NaN's payload is not what is compared.
Bytes FiniteElements(DataType dtype, std::size_t count) {
  std::mt19937_64 random(count);
  Bytes x(count * static_cast<std::size_t>(ElementSize(dtype)));
  for (std::size_t i = 0; i < count; ++i) {
    const double value =
        static_cast<double>(static_cast<std::int64_t>(random() % 2001) - 1000) / 64;
    const auto value32 = static_cast<float>(value);
    std::uint64_t bits = 0;
    switch (dtype) {
      case DataType::kFloat32:
        std::memcpy(&bits, &value32, sizeof(value32));
        break;
      case DataType::kFloat64:
        std::memcpy(&bits, &value, sizeof(value));
        break;
      case DataType::kFloat16:
        bits = naive::ToFloat16(value32);
        break;
      case DataType::kBFloat16:
        bits = naive::ToBFloat16(value32);
        break;
    }
    naive::StoreElement(dtype, bits, x.data(), i);
  }
  return x;
}

// The answer, one element at a time, from the noise as GetMask tells it.
Bytes Twin(const Plan& plan, DataType dtype, const Bytes& x) {
  const auto count = static_cast<std::size_t>(plan.layout.tensor.ElementCount());
  Bytes y(x.size());
  PackedBits bits(0);
  std::vector<double> multipliers;
  std::vector<double> scales;
  if (plan.IsBinary()) {
    bits = DrawBits(plan);
    if (plan.action == Action::kBlock) scales = BlockScales(plan.blocks, bits);
  } else {
    multipliers = DrawMultipliers(plan);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t place = PlaceOf(plan, i);
    const std::uint64_t element = naive::LoadElement(dtype, x.data(), i);
    std::uint64_t result = 0;
    if (!plan.IsBinary()) {
      result = Affine(dtype, element, multipliers[place], 0.0);
      if (static_cast<float>(multipliers[place]) == 0.0f) result = 0;
    } else if (bits.Read(place, 1) == 0) {
      result = plan.action == Action::kAlpha ? Affine(dtype, 0, 0.0, plan.dropped) : 0;
    } else if (plan.action == Action::kAlpha) {
      result = Affine(dtype, element, plan.scale, plan.shift);
    } else {
      double scale = plan.scale;
      if (!scales.empty())
        scale = scales.size() == 1 ? scales[0] : scales[i * scales.size() / count];
      result = naive::ScaleElement(dtype, element, scale);
    }
    naive::StoreElement(dtype, result, y.data(), i);
  }
  return y;
}

class FamilyTest : public SimdTargetFixture {};

TEST_P(FamilyTest, AgreesWithTwin) {
  for (const Case& c : Cases()) {
    for (const double p : {0.1, 0.5}) {
      const Plan plan = PlanFor(c, p);
      for (const DataType dtype : naive::kDataTypes) {
        const Bytes x =
            FiniteElements(dtype, static_cast<std::size_t>(plan.layout.tensor.ElementCount()));
        Bytes y(x.size());
        DrawAndApply(plan, dtype, x.data(), y.data());
        // -0 + 0 is +0 in the twin's sum and not in the product: compare values.
        const Bytes expected = Twin(plan, dtype, x);
        for (std::size_t i = 0; i * static_cast<std::size_t>(ElementSize(dtype)) < x.size(); ++i) {
          const std::uint64_t a = naive::LoadElement(dtype, y.data(), i);
          const std::uint64_t b = naive::LoadElement(dtype, expected.data(), i);
          const std::uint64_t sign = std::uint64_t{1} << (8 * ElementSize(dtype) - 1);
          ASSERT_TRUE(a == b || ((a | b) == sign && plan.action == Action::kMultiply))
              << NameOf(c, dtype) << " element " << i;
        }
      }
    }
  }
}

TEST_P(FamilyTest, AnyPiecesGiveTheSame) {
  std::mt19937_64 random(1);
  for (const Case& c : Cases()) {
    const Plan plan = PlanFor(c);
    for (const DataType dtype : naive::kDataTypes) {
      const auto count = static_cast<std::size_t>(plan.layout.tensor.ElementCount());
      const auto size = static_cast<std::size_t>(ElementSize(dtype));
      const Bytes x = FiniteElements(dtype, count);
      Bytes whole(x.size());
      const SharedBits bits = DrawAndApply(plan, dtype, x.data(), whole.data());
      Bytes pieces(x.size());
      const Pass pass(plan, dtype, nullptr, Pass::Bits::kKeep);
      for (std::size_t at = 0; at < count;) {
        const std::size_t n = std::min(count - at, Pass::kGranule * (1 + random() % 9));
        pass.Run(at, n, x.data() + at * size, pieces.data() + at * size);
        at += n;
      }
      ASSERT_EQ(pieces, whole) << NameOf(c, dtype);
      if (bits == nullptr) continue;
      EXPECT_EQ(pass.bits()->bytes(), bits->bytes()) << NameOf(c, dtype);
      Bytes again(x.size());
      Apply(plan, bits, dtype, x.data(), again.data());
      ASSERT_EQ(again, whole) << NameOf(c, dtype);
    }
  }
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(FamilyTest);

// --- DropConnect --------------------------------------------------------------------------

struct LinearCase {
  std::int64_t in, out;
  Sizes shape;  // But for in.
  DropConnectOptions::Scope scope;
};

// Sizes of one tile and of many, with rows that start between bytes of the mask.
const LinearCase kLinearCases[] = {
    {7, 5, {4}, DropConnectOptions::Scope::kSample},
    {7, 5, {4}, DropConnectOptions::Scope::kBatch},
    {7, 5, {3, 2}, DropConnectOptions::Scope::kSample},
    {1001, 301, {9}, DropConnectOptions::Scope::kSample},
    {1001, 301, {9}, DropConnectOptions::Scope::kBatch},
    {140001, 3, {2}, DropConnectOptions::Scope::kSample},
    {3, 140001, {2}, DropConnectOptions::Scope::kBatch},
};

Parameter RandomParameter(std::string_view name, Sizes sizes, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  Parameter parameter{std::string(name), DataType::kFloat64, MakeShape(sizes), {}};
  std::vector<double> values(static_cast<std::size_t>(parameter.shape.ElementCount()));
  for (double& value : values) value = uniform(random);
  parameter.data.resize(values.size() * sizeof(double));
  std::memcpy(parameter.data.data(), values.data(), parameter.data.size());
  return parameter;
}

const double* Doubles(const Parameter& parameter) {
  return reinterpret_cast<const double*>(parameter.data.data());
}

TEST(Linear, ForwardAndBackwardAgreeWithPlainLoops) {
  for (const LinearCase& c : kLinearCases) {
    DropConnectOptions options;
    options.in_features = c.in;
    options.out_features = c.out;
    options.mask_scope = c.scope;
    LayerConfig config;
    config.layer_id = "drop";
    config.options = options;
    Sizes shape = c.shape;
    shape.push_back(c.in);
    const Plan plan = MakePlan(config, Mode::kTrain, 0.3, {1, 7, 5}, MakeShape(shape)).value();
    Parameters parameters;
    parameters.Set(RandomParameter(kWeight, {c.out, c.in}, 1));
    parameters.Set(RandomParameter(kBias, {c.out}, 2));
    const auto rows = static_cast<std::size_t>(plan.linear.rows);
    const auto in = static_cast<std::size_t>(c.in);
    const auto out = static_cast<std::size_t>(c.out);
    const Parameter x = RandomParameter("x", {plan.linear.rows, c.in}, 3);
    const Parameter dy = RandomParameter("dy", {plan.linear.rows, c.out}, 4);
    const PackedBits bits = DrawBits(plan);
    std::vector<double> y(rows * out), dx(rows * in);
    const LinearParameters found = LinearParameters::Find(plan, parameters).value();
    LinearForward(plan, found, DataType::kFloat64, x.data.data(), y.data());
    const auto gradients = LinearBackward(plan, found, DataType::kFloat64, x.data.data(),
                                          DataType::kFloat64, dy.data.data(), dx.data());
    ASSERT_TRUE(gradients.has_value() && gradients->bias.has_value());
    const double* const w = Doubles(*parameters.Find(kWeight));
    const double* const b = Doubles(*parameters.Find(kBias));
    std::vector<double> expected_dx(dx.size()), expected_dw(in * out), expected_db(out);
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t mask = c.scope == DropConnectOptions::Scope::kBatch
                                   ? 0
                                   : r / static_cast<std::size_t>(plan.linear.rows_per_sample);
      for (std::size_t o = 0; o < out; ++o) {
        double sum = b[o];
        const double error = Doubles(dy)[r * out + o];
        expected_db[o] += error;
        for (std::size_t i = 0; i < in; ++i) {
          if (bits.Read((mask * out + o) * in + i, 1) == 0) continue;
          const double input = Doubles(x)[r * in + i];
          sum += w[o * in + i] * plan.scale * input;
          expected_dx[r * in + i] += error * w[o * in + i] * plan.scale;
          expected_dw[o * in + i] += error * input * plan.scale;
        }
        ASSERT_NEAR(y[r * out + o], sum, 1e-11 * static_cast<double>(in));
      }
    }
    for (std::size_t i = 0; i < dx.size(); ++i) {
      ASSERT_NEAR(dx[i], expected_dx[i], 1e-13 * static_cast<double>(out) + 1e-12);
    }
    for (std::size_t i = 0; i < expected_dw.size(); ++i) {
      ASSERT_NEAR(Doubles(gradients->weight)[i], expected_dw[i], 1e-12);
    }
    for (std::size_t o = 0; o < out; ++o) {
      ASSERT_NEAR(Doubles(*gradients->bias)[o], expected_db[o], 1e-12);
    }
  }
}

}  // namespace
}  // namespace dropoutd
