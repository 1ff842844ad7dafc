#include "tests/bench/linear_bench.h"

#include <Eigen/Core>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "server/dropout/linear.h"
#include "server/dropout/plan.h"
#include "tests/bench/paired.h"

namespace dropoutd::bench {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Scope = DropConnectOptions::Scope;

struct Sizes {
  Eigen::Index rows;
  Eigen::Index in;
  Eigen::Index out;
};

Plan PlanFor(const Sizes& sizes, Scope scope) {
  DropConnectOptions options;
  options.in_features = sizes.in;
  options.out_features = sizes.out;
  options.bias = false;
  options.mask_scope = scope;
  LayerConfig config;
  config.layer_id = "bench";
  config.p = 0.5;
  config.options = options;
  const std::array<std::int64_t, 2> shape = {sizes.rows, sizes.in};
  return *MakePlan(config, Mode::kTrain, config.p, {1, 0, 0}, *Shape::Make(shape));
}

Parameters WithWeight(const Matrix& weight) {
  const std::array<std::int64_t, 2> shape = {weight.rows(), weight.cols()};
  Parameter parameter{std::string(kWeight), DataType::kFloat32, *Shape::Make(shape),
                      std::vector<std::byte>(static_cast<std::size_t>(weight.size()) * 4)};
  std::memcpy(parameter.data.data(), weight.data(), parameter.data.size());
  Parameters parameters;
  parameters.Set(std::move(parameter));
  return parameters;
}

void BenchScope(const std::string& name, Scope scope, const Sizes& sizes, double at_least,
                const PairOptions& options, Report& report) {
  const Matrix x = Matrix::Random(sizes.rows, sizes.in);
  const Matrix weight = Matrix::Random(sizes.out, sizes.in);
  Matrix y = Matrix::Zero(sizes.rows, sizes.out);
  const Plan plan = PlanFor(sizes, scope);
  const Parameters parameters = WithWeight(weight);
  const LinearParameters found = LinearParameters::Find(plan, parameters).value();
  const auto flops = 2.0 * static_cast<double>(sizes.rows * sizes.in * sizes.out);
  const std::string what = "drop_connect " + name + ", float32, " + std::to_string(sizes.rows) +
                           "x" + std::to_string(sizes.in) + "x" + std::to_string(sizes.out);
  report.Add(RunPairs(
      {what, "Eigen's GEMM", static_cast<double>(x.size() + y.size()) * 4, {}, {}, at_least, flops},
      [&] { LinearForward(plan, found, DataType::kFloat32, x.data(), y.data()); },
      TimeOf([&] { y.noalias() = x * weight.transpose(); }, options.baseline_repeats), options));
}

}  // namespace

void BenchLinear(bool smoke, Report& report) {
  const Sizes sizes = smoke ? Sizes{4, 64, 64} : Sizes{256, 1024, 1024};
  const PairOptions batch = smoke ? PairOptions{1, 1, 1} : PairOptions{15, 1, 1};
  const PairOptions sample = smoke ? PairOptions{1, 1, 1} : PairOptions{5, 1, 1};
  BenchScope("BATCH", Scope::kBatch, sizes, smoke ? 0 : 0.7, batch, report);
  BenchScope("SAMPLE", Scope::kSample, sizes, 0, sample, report);
}

}  // namespace dropoutd::bench
