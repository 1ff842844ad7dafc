#include "server/dropout/layer_config.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/dropout/shape.h"

namespace dropoutd {
namespace {

constexpr std::array<std::string_view, 1> kBuiltVariants = {"dropout"};
static_assert(kBuiltVariants.size() == std::variant_size_v<VariantOptions>);

constexpr std::size_t kMaxLayerIdBytes = 128;

absl::Status Invalid(std::string_view message) { return MakeError(Reason::kInvalidLayer, message); }

absl::Status ValidateLayerId(const std::string& id) {
  if (id.empty() || id.size() > kMaxLayerIdBytes) {
    return Invalid(absl::StrCat("layer_id: ", id.size(), " bytes long, must be 1 to ",
                                kMaxLayerIdBytes));
  }
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::any_of(id.begin(), id.end(), is_control)) {
    return Invalid("layer_id: has a control character, must be printable");
  }
  return absl::OkStatus();
}

absl::Status ValidateOptions(const DropoutOptions& options) {
  const auto& axes = options.broadcast_axes;
  for (auto axis = axes.begin(); axis != axes.end(); ++axis) {
    if (*axis < -Shape::kMaxRank || *axis >= Shape::kMaxRank) {
      return Invalid(absl::StrCat("dropout.broadcast_axes: ", *axis, ", must be in [-8, 7]"));
    }
    if (std::find(axes.begin(), axis, *axis) != axis) {
      return Invalid(absl::StrCat("dropout.broadcast_axes: ", *axis, " is there twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::span<const std::string_view> BuiltVariants() { return kBuiltVariants; }

absl::Status Validate(const LayerConfig& config) {
  DROPOUTD_RETURN_IF_ERROR(ValidateLayerId(config.layer_id));
  // Written so that NaN fails.
  if (!(config.p >= 0.0 && config.p < 1.0)) {
    return Invalid(absl::StrCat("p: ", config.p, ", must be in [0, 1)"));
  }
  return std::visit([](const auto& options) { return ValidateOptions(options); }, config.options);
}

}  // namespace dropoutd
