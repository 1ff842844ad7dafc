// The gradients of concrete dropout with respect to logit_p (Gal, Hron and Kendall, 2017).
#ifndef DROPOUTD_SERVER_DROPOUT_CONCRETE_GRADIENT_H_
#define DROPOUTD_SERVER_DROPOUT_CONCRETE_GRADIENT_H_

#include <cstddef>
#include <optional>

#include "server/dropout/data_type.h"
#include "server/dropout/multipliers.h"
#include "server/dropout/plan.h"
#include "server/kernels/concrete.h"
#include "server/kernels/exact_sum.h"

namespace dropoutd {

// Adds up p q sum dy x [(1-z)/q^2 - z(1-z)(1/p + 1/q)/(t q)] in float64: whatever the pieces, the
// sum is the same (server/kernels/concrete.h). One thread at a time; refers to `plan` and `input`,
// which must outlive it.
class ConcreteGradient {
 public:
  // `input`: the Forward's, row-major.
  ConcreteGradient(const Plan& plan, DataType input_type, const std::byte* input);

  // Elements begin .. begin + n - 1; begin and, but for the end, n are multiples of 64.
  // `gradient`: of type `dtype`, any alignment.
  void Add(std::size_t begin, std::size_t n, DataType dtype, const void* gradient);

  double logit_p() const;

 private:
  const Plan& plan_;
  const DataType input_type_;
  const std::byte* const input_;
  const Multipliers noise_;
  const kernels::ConcreteWeight weight_;
  kernels::ExactSum sum_;
};

// The gradient of the regularisers: dr K p q ln(p/q) + wr |W|^2 p q / q^2, with K the features of
// one sample (its channels where one draw serves a channel). The weight term needs |W|^2.
double ConcreteRegularizerGradient(const Plan& plan, const ConcreteOptions& options,
                                   std::optional<double> weight_squared_norm);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_CONCRETE_GRADIENT_H_
