#include "server/dropout/parameters.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/base/status_macros.h"
#include "server/dropout/variant.h"
#include "server/kernels/elementary.h"

namespace dropoutd {
namespace {

// Beyond it, 1 - p is no normal float64.
constexpr double kMaxLogit = 700.0;

absl::Status CheckShape(const Parameter& parameter, const Shape& wanted) {
  if (parameter.shape == wanted) return absl::OkStatus();
  return MakeError(Reason::kInvalidTensor,
                   absl::StrCat(parameter.name, ": shape ", parameter.shape.ToString(),
                                ", must be ", wanted.ToString()));
}

Shape ShapeOf(std::initializer_list<std::int64_t> sizes) {
  return *Shape::Make({sizes.begin(), sizes.size()});
}

absl::Status CheckLogit(const LayerConfig& config, const Parameter& parameter) {
  if (parameter.shape.ElementCount() != 1) return CheckShape(parameter, Shape());
  const double value = FirstElement(parameter);
  // Written so that NaN fails. That of the layer's own p may be beyond, down to that of p = 0.
  if (std::abs(value) <= kMaxLogit || value == Logit(config.p)) return absl::OkStatus();
  return MakeError(Reason::kInvalidTensor,
                   absl::StrCat(parameter.name, ": ", value, ", must be in [-700, 700]"));
}

absl::Status UnknownParameter(const LayerConfig& config, const Parameter& parameter) {
  const std::string_view variant = RowOf(config).name;
  return MakeError(Reason::kInvalidRequest,
                   absl::StrCat("parameters.name: ", Quote(parameter.name),
                                " is not a parameter of such a layer, ",
                                absl::string_view(variant.data(), variant.size())));
}

}  // namespace

Parameter MakeScalar(std::string_view name, double value) {
  Parameter parameter{std::string(name), DataType::kFloat64, Shape(), {}};
  parameter.data.resize(sizeof(value));
  std::memcpy(parameter.data.data(), &value, sizeof(value));
  return parameter;
}

double FirstElement(const Parameter& parameter) {
  const void* const data = parameter.data.data();
  switch (parameter.dtype) {
    case DataType::kFloat32:
      return static_cast<double>(*static_cast<const float*>(data));
    case DataType::kFloat64:
      return *static_cast<const double*>(data);
    case DataType::kFloat16:
      return static_cast<double>(*static_cast<const Eigen::half*>(data));
    case DataType::kBFloat16:
      return static_cast<double>(*static_cast<const Eigen::bfloat16*>(data));
  }
  return 0.0;
}

const Parameter* Parameters::Find(std::string_view name) const {
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [&](const auto& parameter) { return parameter->name == name; });
  return found == all_.end() ? nullptr : found->get();
}

void Parameters::Set(Parameter parameter) {
  const auto at =
      std::lower_bound(all_.begin(), all_.end(), parameter.name,
                       [](const auto& a, const std::string& name) { return a->name < name; });
  const bool is_new = at == all_.end() || (*at)->name != parameter.name;
  auto shared = std::make_shared<const Parameter>(std::move(parameter));
  if (is_new) {
    all_.insert(at, std::move(shared));
  } else {
    *at = std::move(shared);
  }
}

std::size_t Parameters::byte_size() const {
  std::size_t size = 0;
  for (const auto& parameter : all_) size += parameter->data.size();
  return size;
}

Parameters InitialParameters(const LayerConfig& config) {
  Parameters parameters;
  if (LearnsP(config)) parameters.Set(MakeScalar(kLogitP, Logit(config.p)));
  return parameters;
}

absl::Status CheckParameter(const LayerConfig& config, const Parameter& parameter) {
  if (LearnsP(config) && parameter.name == kLogitP) return CheckLogit(config, parameter);
  if (IsLinear(config)) {
    const auto& options = std::get<DropConnectOptions>(config.options);
    if (parameter.name == kWeight) {
      return CheckShape(parameter, ShapeOf({options.out_features, options.in_features}));
    }
    if (parameter.name == kBias && options.bias) {
      return CheckShape(parameter, ShapeOf({options.out_features}));
    }
  }
  return UnknownParameter(config, parameter);
}

absl::Status CheckParameters(const LayerConfig& config, const Parameters& parameters) {
  for (const auto& each : parameters.all()) {
    DROPOUTD_RETURN_IF_ERROR(CheckParameter(config, *each));
  }
  const Parameters initial = InitialParameters(config);
  for (const auto& each : initial.all()) {
    if (parameters.Find(each->name) != nullptr) continue;
    return MakeError(Reason::kParametersRequired,
                     absl::StrCat("parameters: ", each->name, " is not set"));
  }
  return absl::OkStatus();
}

double Logit(double p) { return kernels::Log(p) - kernels::Log(1.0 - p); }

double Sigmoid(double x) { return kernels::Sigmoid(x); }

}  // namespace dropoutd
