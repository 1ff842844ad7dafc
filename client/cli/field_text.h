// Fields of layers as text: "7", "true", "sample", "1:2", "linear:0:0.5:0:1000".
#ifndef DROPOUTD_CLIENT_CLI_FIELD_TEXT_H_
#define DROPOUTD_CLIENT_CLI_FIELD_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/cli/option_types.h"
#include "dropout/types.h"

namespace dropout::cli {

// Text to value: sets *value. INVALID_ARGUMENT with a message that quotes other text. Numbers of a
// list stand between ':' or ','; "none" is an empty list, or no value.
absl::Status ParseField(absl::string_view text, bool* value);
absl::Status ParseField(absl::string_view text, double* value);
absl::Status ParseField(absl::string_view text, std::int32_t* value);
absl::Status ParseField(absl::string_view text, std::int64_t* value);
absl::Status ParseField(absl::string_view text, std::vector<std::int32_t>* value);
absl::Status ParseField(absl::string_view text, std::vector<std::int64_t>* value);

template <typename Enum, std::enable_if_t<std::is_enum_v<Enum>, int> = 0>
absl::Status ParseField(absl::string_view text, Enum* value) {
  return ParseEnum(text, value);
}

template <typename T>
absl::Status ParseField(absl::string_view text, std::optional<T>* value) {
  if (text == "none") {
    value->reset();
    return absl::OkStatus();
  }
  return ParseField(text, &value->emplace());
}

// Value to text that ParseField reads; lists with ':'.
std::string FormatField(bool value);
std::string FormatField(double value);  // The shortest that reads back as the same number.
std::string FormatField(std::int32_t value);
std::string FormatField(std::int64_t value);
std::string FormatField(const std::vector<std::int32_t>& value);
std::string FormatField(const std::vector<std::int64_t>& value);

template <typename Enum, std::enable_if_t<std::is_enum_v<Enum>, int> = 0>
std::string FormatField(Enum value) {
  return NameOf(value);
}

template <typename T>
std::string FormatField(const std::optional<T>& value) {
  return value.has_value() ? FormatField(*value) : "none";
}

// A schedule: "linear:START_P:END_P:START_STEP:END_STEP", "cosine:" and the same,
// "curriculum:END_P:GAMMA", "piecewise:P:STEP:P:STEP:P" (each p holds until the step after it).
absl::Status ParseSchedule(absl::string_view text, Schedule* value);
std::string FormatSchedule(const Schedule& schedule);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_FIELD_TEXT_H_
