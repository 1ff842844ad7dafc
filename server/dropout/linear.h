// DropConnect's linear layer: products with masked weights (Wan et al., 2013).
#ifndef DROPOUTD_SERVER_DROPOUT_LINEAR_H_
#define DROPOUTD_SERVER_DROPOUT_LINEAR_H_

#include "absl/status/statusor.h"
#include "server/dropout/data_type.h"
#include "server/dropout/parameters.h"
#include "server/dropout/plan.h"

namespace dropoutd {

// The gradients of a linear layer with respect to its parameters, in the parameters' own types.
struct LinearGradients {
  Parameter weight;
  std::optional<Parameter> bias;
};

// The parameters that a linear layer multiplies with. Refers to what it was found in.
class LinearParameters {
 public:
  // FAILED_PRECONDITION / PARAMETERS_REQUIRED unless the weight, and the bias if the layer has one,
  // are set, in the plan's sizes.
  static absl::StatusOr<LinearParameters> Find(const Plan& plan, const Parameters& parameters);

  const Parameter& weight() const { return *weight_; }
  const Parameter* bias() const { return bias_; }  // Null: the layer has none.

 private:
  LinearParameters(const Parameter& weight, const Parameter* bias)
      : weight_(&weight), bias_(bias) {}

  const Parameter* weight_;
  const Parameter* bias_;
};

// y[r, o] = sum_i M[o, i] W[o, i] x[r, i] * scale + bias[o], for every row r; M is that of the
// row's sample, or all ones where the plan has no mask. x: [rows, in_features], y: [rows,
// out_features], row-major, of type `dtype`, aligned for it, not overlapping. Computed in float64
// for FLOAT64 and in float32 for the others. Masks are applied a tile of weights at a time: the
// memory used besides x, y and the weights is at most 3 MiB. Pure; thread-safe.
void LinearForward(const Plan& plan, const LinearParameters& parameters, DataType dtype,
                   const void* x, void* y);

// dx = sum_o dy M W * scale, and, if `x` is not null, dW = sum_r dy x M * scale and dbias =
// sum_r dy. dy: [rows, out_features], dx: [rows, in_features], both of type `dtype`; x of type
// `x_dtype`, which need not be the same; memory as above.
std::optional<LinearGradients> LinearBackward(const Plan& plan, const LinearParameters& parameters,
                                              DataType x_dtype, const void* x, DataType dtype,
                                              const void* dy, void* dx);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_LINEAR_H_
