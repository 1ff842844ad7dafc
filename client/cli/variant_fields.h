// The fields of each variant by name: what sets them, shows them and turns them into JSON goes
// through this one list. Names are those of layer.proto.
#ifndef DROPOUTD_CLIENT_CLI_VARIANT_FIELDS_H_
#define DROPOUTD_CLIENT_CLI_VARIANT_FIELDS_H_

#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "dropout/types.h"

namespace dropout::cli {

// "dropout", "gaussian", ...; "unknown" for std::monostate.
std::string NameOf(const Variant& variant);

// The variant called `name` with the server's defaults.
std::optional<Variant> MakeVariant(absl::string_view name);

// In the order of Variant.
const std::vector<std::string>& VariantNames();

// Calls visit(name, field) for each field of a variant; visits of a const one are const.
template <typename V, typename Visit>
void VisitFields(V& variant, Visit visit) {
  using T = std::remove_const_t<V>;
  if constexpr (std::is_same_v<T, Dropout> || std::is_same_v<T, Gaussian>) {
    visit("broadcast_axes", variant.broadcast_axes);
  } else if constexpr (std::is_same_v<T, FeatureAlpha> || std::is_same_v<T, Spatial>) {
    visit("channel_axis", variant.channel_axis);
  } else if constexpr (std::is_same_v<T, DropBlock>) {
    visit("block_size", variant.block_size);
    visit("channel_axis", variant.channel_axis);
    visit("gamma", variant.gamma);
    visit("normalization", variant.normalization);
    visit("share_channels", variant.share_channels);
  } else if constexpr (std::is_same_v<T, Concrete>) {
    visit("temperature", variant.temperature);
    visit("weight_regularizer", variant.weight_regularizer);
    visit("dropout_regularizer", variant.dropout_regularizer);
    visit("spatial", variant.spatial);
  } else if constexpr (std::is_same_v<T, DropConnect>) {
    visit("in_features", variant.in_features);
    visit("out_features", variant.out_features);
    visit("bias", variant.bias);
    visit("mask_scope", variant.mask_scope);
    visit("target", variant.target);
  } else if constexpr (std::is_same_v<T, Variational>) {
    visit("time_axis", variant.time_axis);
  } else if constexpr (std::is_same_v<T, Recurrent>) {
    visit("mask_scope", variant.mask_scope);
  } else if constexpr (std::is_same_v<T, StochasticDepth>) {
    visit("mode", variant.mode);
    visit("depth_index", variant.depth_index);
    visit("depth_count", variant.depth_count);
  } else {
    static_assert(std::is_same_v<T, Alpha> || std::is_same_v<T, std::monostate>,
                  "list the fields of the new variant");
  }
}

// As VisitFields, of the alternative that a Variant holds.
template <typename V, typename Visit>
void VisitFieldsOf(V& variant, Visit visit) {
  std::visit([&](auto& alternative) { VisitFields(alternative, visit); }, variant);
}

// A field's name on the command line: its own, but for stochastic depth's `mode`, because --mode
// is the layer's.
absl::string_view SettingName(absl::string_view field);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_VARIANT_FIELDS_H_
