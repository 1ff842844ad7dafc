#include "client/cli/variant_fields.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace dropout::cli {
namespace {

// In the order of Variant.
constexpr const char* kNames[] = {"unknown",       "dropout",     "gaussian",   "alpha",
                                  "feature_alpha", "spatial",     "drop_block", "concrete",
                                  "drop_connect",  "variational", "recurrent",  "stochastic_depth"};
static_assert(std::size(kNames) == std::variant_size_v<Variant>);

template <std::size_t... kIndices>
Variant MakeAlternative(std::size_t index, std::index_sequence<kIndices...>) {
  Variant variant;
  ((index == kIndices ? void(variant.emplace<kIndices>()) : void()), ...);
  return variant;
}

}  // namespace

std::string NameOf(const Variant& variant) { return kNames[variant.index()]; }

std::optional<Variant> MakeVariant(absl::string_view name) {
  const auto* const found = std::find(std::begin(kNames) + 1, std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return MakeAlternative(static_cast<std::size_t>(found - kNames),
                         std::make_index_sequence<std::variant_size_v<Variant>>());
}

const std::vector<std::string>& VariantNames() {
  static const std::vector<std::string> names(std::begin(kNames) + 1, std::end(kNames));
  return names;
}

absl::string_view SettingName(absl::string_view field) {
  return field == "mode" ? "depth_mode" : field;
}

}  // namespace dropout::cli
