#include "server/dropout/concrete_gradient.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>

#include "server/base/running_work.h"
#include "server/dropout/kernel_for.h"

namespace dropoutd {
namespace {

constexpr std::size_t kChunk = 1024;

kernels::ConcreteWeight WeightOf(const Plan& plan) {
  const double p = plan.rate.p;
  const double q = plan.rate.q;
  return {1.0 / (q * q), (1.0 / p + 1.0 / q) / (plan.temperature * q)};
}

template <typename T>
void WidenAs(const void* from, std::size_t n, double* to) {
  Eigen::Map<Eigen::ArrayXd>(to, static_cast<Eigen::Index>(n)) =
      Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>(static_cast<const T*>(from),
                                                           static_cast<Eigen::Index>(n))
          .template cast<double>();
}

// `from` has any alignment.
void Widen(DataType dtype, const std::byte* from, std::size_t n, double* to) {
  alignas(16) std::array<std::byte, kChunk * sizeof(double)> aligned;
  std::copy_n(from, n * static_cast<std::size_t>(ElementSize(dtype)), aligned.begin());
  switch (dtype) {
    case DataType::kFloat32:
      return WidenAs<float>(aligned.data(), n, to);
    case DataType::kFloat64:
      return WidenAs<double>(aligned.data(), n, to);
    case DataType::kFloat16:
      return WidenAs<Eigen::half>(aligned.data(), n, to);
    case DataType::kBFloat16:
      return WidenAs<Eigen::bfloat16>(aligned.data(), n, to);
  }
}

void AddProducts(DataType dtype, const void* x, const void* dy, const double* z, std::size_t n,
                 const kernels::ConcreteWeight& weight, kernels::ExactSum& sum) {
  KernelFor(dtype, kernels::ConcreteGradientF32, kernels::ConcreteGradientF64,
            kernels::ConcreteGradientF16, kernels::ConcreteGradientBF16)(x, dy, z, n, weight, sum);
}

}  // namespace

ConcreteGradient::ConcreteGradient(const Plan& plan, DataType input_type, const std::byte* input)
    : plan_(plan), input_type_(input_type), input_(input), noise_(plan), weight_(WeightOf(plan)) {}

void ConcreteGradient::Add(std::size_t begin, std::size_t n, DataType dtype, const void* gradient) {
  const auto* const dy = static_cast<const std::byte*>(gradient);
  std::array<double, kChunk> z;
  WorkMeter meter;
  for (std::size_t done = 0; done < n; done += kChunk) {
    const std::size_t count = std::min(kChunk, n - done);
    meter.Add(count);
    const std::byte* const x =
        input_ + (begin + done) * static_cast<std::size_t>(ElementSize(input_type_));
    const std::byte* const dy_at = dy + done * static_cast<std::size_t>(ElementSize(dtype));
    noise_.Noise(begin + done, count, z.data());
    if (dtype == input_type_) {
      AddProducts(dtype, x, dy_at, z.data(), count, weight_, sum_);
    } else {
      std::array<double, kChunk> wide_x;
      std::array<double, kChunk> wide_dy;
      Widen(input_type_, x, count, wide_x.data());
      Widen(dtype, dy_at, count, wide_dy.data());
      AddProducts(DataType::kFloat64, wide_x.data(), wide_dy.data(), z.data(), count, weight_,
                  sum_);
    }
  }
}

double ConcreteGradient::logit_p() const { return plan_.rate.p * plan_.rate.q * sum_.Value(); }

double ConcreteRegularizerGradient(const Plan& plan, const ConcreteOptions& options,
                                   std::optional<double> weight_squared_norm) {
  const double p = plan.rate.p;
  const double q = plan.rate.q;
  const Shape& noise = plan.layout.noise;
  double features = 1.0;
  for (int axis = 1; axis < noise.rank(); ++axis) features *= static_cast<double>(noise[axis]);
  // ln(p / q) is logit p.
  double gradient = p * q * options.dropout_regularizer * features * plan.rate.logit_p;
  if (weight_squared_norm.has_value()) {
    gradient += p * q * options.weight_regularizer * *weight_squared_norm / (q * q);
  }
  return gradient;
}

}  // namespace dropoutd
