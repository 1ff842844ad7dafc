// Tensors that the server holds for a layer: `weight` and `bias` of drop_connect, `logit_p` of
// concrete.
#ifndef DROPOUTD_SERVER_DROPOUT_PARAMETERS_H_
#define DROPOUTD_SERVER_DROPOUT_PARAMETERS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/dropout/data_type.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/shape.h"

namespace dropoutd {

inline constexpr std::string_view kWeight = "weight";
inline constexpr std::string_view kBias = "bias";
inline constexpr std::string_view kLogitP = "logit_p";
inline constexpr std::string_view kLogitPRegularizer = "logit_p_regularizer";

// A named tensor with memory of its own, row-major, aligned for every type.
struct Parameter {
  std::string name;
  DataType dtype = DataType::kFloat32;
  Shape shape;
  std::vector<std::byte> data;

  friend bool operator==(const Parameter&, const Parameter&) = default;
};

// A FLOAT64 tensor of rank 0.
Parameter MakeScalar(std::string_view name, double value);

// The first element, which must be there, as a float64.
double FirstElement(const Parameter& parameter);

// All parameters of one layer. A copy shares the tensors. Immutable once it is shared between
// threads.
class Parameters {
 public:
  // Null if it is not set. Valid as long as this.
  const Parameter* Find(std::string_view name) const;

  void Set(Parameter parameter);

  const std::vector<std::shared_ptr<const Parameter>>& all() const { return all_; }

  // Of the tensors' bytes.
  std::size_t byte_size() const;

 private:
  std::vector<std::shared_ptr<const Parameter>> all_;  // Sorted by name.
};

using SharedParameters = std::shared_ptr<const Parameters>;

// What the layer starts with: concrete's logit_p from its p; else nothing.
Parameters InitialParameters(const LayerConfig& config);

// Whether `parameter` is one of the layer's and its value makes sense. INVALID_REQUEST for a name
// that the layer does not have; INVALID_TENSOR for a shape or a value.
absl::Status CheckParameter(const LayerConfig& config, const Parameter& parameter);

// Whether `parameters` are such that the layer can have them: each as CheckParameter has it, and
// those that it has from its start. CheckParameter's errors, PARAMETERS_REQUIRED.
absl::Status CheckParameters(const LayerConfig& config, const Parameters& parameters);

// log(p / (1 - p)), and back; the same on every machine.
double Logit(double p);
double Sigmoid(double x);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_PARAMETERS_H_
