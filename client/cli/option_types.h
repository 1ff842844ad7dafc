// Options of the types that commands need. CLI11's own conversion of numbers is not used: it
// takes -1 for 2^64-1 and 010 for 8.
//
// Each function adds an option that sets *value when it is given, and reports text that does
// not parse as wrong usage. `value` must outlive the parsing.
#ifndef DROPOUTD_CLIENT_CLI_OPTION_TYPES_H_
#define DROPOUTD_CLIENT_CLI_OPTION_TYPES_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/cli/enum_names.h"
#include "dropout/types.h"

namespace dropout::cli {

// INVALID_ARGUMENT, with a message that quotes the text.
absl::Status NotA(absl::string_view what, absl::string_view text);

// Texts to values; NotA() for text that is none.
template <typename Integer>
absl::Status ParseInteger(absl::string_view text, absl::string_view what, Integer* value) {
  return absl::SimpleAtoi(text, value) ? absl::OkStatus() : NotA(what, text);
}
absl::Status ParseNumber(absl::string_view text, double* value);
absl::Status ParseShape(absl::string_view text, std::vector<std::int64_t>* value);  // "4,5"

template <typename Enum>
absl::Status ParseEnum(absl::string_view text, Enum* value) {
  if (ParseName(text, value)) return absl::OkStatus();
  return NotA(absl::StrCat("one of ", Names<Enum>()), text);
}

// An option whose text goes to `parse`; `type_name` stands for it in the help.
CLI::Option* AddParsed(CLI::App* app, const std::string& name, const std::string& type_name,
                       const std::string& help,
                       std::function<absl::Status(const std::string&)> parse);

CLI::Option* AddInteger(CLI::App* app, const std::string& name, std::optional<std::uint64_t>* value,
                        const std::string& help);
CLI::Option* AddInteger(CLI::App* app, const std::string& name, std::int64_t* value,
                        const std::string& help);
CLI::Option* AddInteger(CLI::App* app, const std::string& name, int* value,
                        const std::string& help);

CLI::Option* AddShape(CLI::App* app, const std::string& name, std::vector<std::int64_t>* value,
                      const std::string& help);

// Seconds or more general positive numbers: 0 or more, finite.
CLI::Option* AddNonNegative(CLI::App* app, const std::string& name, const std::string& type_name,
                            double* value, const std::string& help);

template <typename Enum>
CLI::Option* AddEnum(CLI::App* app, const std::string& name, std::optional<Enum>* value,
                     const std::string& help) {
  return AddParsed(app, name, Names<Enum>(), help,
                   [value](const std::string& text) { return ParseEnum(text, &value->emplace()); });
}

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_OPTION_TYPES_H_
