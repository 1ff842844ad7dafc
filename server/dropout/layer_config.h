// What a layer is: the options that a client gives it, and which of them make sense.
#ifndef DROPOUTD_SERVER_DROPOUT_LAYER_CONFIG_H_
#define DROPOUTD_SERVER_DROPOUT_LAYER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"

namespace dropoutd {

enum class Mode : std::uint8_t { kTrain, kEval };
enum class Generator : std::uint8_t { kPhilox, kNumpyLegacy };
enum class Scaling : std::uint8_t { kInverted, kNone, kEval };

// A sequential generator's masks cannot be made again from their coordinates.
constexpr bool IsSequential(Generator generator) { return generator == Generator::kNumpyLegacy; }

// Bernoulli dropout (Srivastava et al., 2014).
struct DropoutOptions {
  std::vector<std::int32_t> broadcast_axes;  // Each in [-8, 7], none twice.

  friend bool operator==(const DropoutOptions&, const DropoutOptions&) = default;
};

// One alternative for each variant that is built.
using VariantOptions = std::variant<DropoutOptions>;

// Names, as in the proto's oneof, of the alternatives of VariantOptions.
std::span<const std::string_view> BuiltVariants();

// A layer's configuration. Immutable once validated, so that threads share it freely.
struct LayerConfig {
  std::string layer_id;
  std::optional<Mode> mode;  // Nothing: the session's.
  double p = 0.0;            // Probability of a drop, in [0, 1).
  Generator generator = Generator::kPhilox;
  Scaling scaling = Scaling::kInverted;
  VariantOptions options;

  friend bool operator==(const LayerConfig&, const LayerConfig&) = default;
};

// INVALID_LAYER, naming the field, the value and the range, unless every field is in its
// range.
absl::Status Validate(const LayerConfig& config);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_LAYER_CONFIG_H_
