#include "client/cli/option_types.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_split.h"

namespace dropout::cli {

absl::Status NotA(absl::string_view what, absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not ", what));
}

absl::Status ParseNumber(absl::string_view text, double* value) {
  return absl::SimpleAtod(text, value) ? absl::OkStatus() : NotA("a number", text);
}

absl::Status ParseShape(absl::string_view text, std::vector<std::int64_t>* value) {
  value->clear();
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    if (!absl::SimpleAtoi(part, &value->emplace_back())) {
      return NotA("a list of sizes as 4,5", text);
    }
  }
  return absl::OkStatus();
}

CLI::Option* AddParsed(CLI::App* app, const std::string& name, const std::string& type_name,
                       const std::string& help,
                       std::function<absl::Status(const std::string&)> parse) {
  return app
      ->add_option_function<std::string>(
          name,
          [name, parse = std::move(parse)](const std::string& text) {
            const absl::Status status = parse(text);
            if (!status.ok()) throw CLI::ValidationError(name, std::string(status.message()));
          },
          help)
      ->type_name(type_name);
}

CLI::Option* AddInteger(CLI::App* app, const std::string& name, std::optional<std::uint64_t>* value,
                        const std::string& help) {
  return AddParsed(app, name, "N", help, [value](const std::string& text) {
    return ParseInteger(text, "an integer from 0 to 2^64-1", &value->emplace());
  });
}

CLI::Option* AddInteger(CLI::App* app, const std::string& name, std::int64_t* value,
                        const std::string& help) {
  return AddParsed(app, name, "N", help, [value](const std::string& text) {
    return ParseInteger(text, "an integer of 64 bits", value);
  });
}

CLI::Option* AddInteger(CLI::App* app, const std::string& name, int* value,
                        const std::string& help) {
  return AddParsed(app, name, "N", help, [value](const std::string& text) {
    return ParseInteger(text, "an integer of 32 bits", value);
  });
}

CLI::Option* AddShape(CLI::App* app, const std::string& name, std::vector<std::int64_t>* value,
                      const std::string& help) {
  return AddParsed(app, name, "N,N,...", help,
                   [value](const std::string& text) { return ParseShape(text, value); });
}

CLI::Option* AddNonNegative(CLI::App* app, const std::string& name, const std::string& type_name,
                            double* value, const std::string& help) {
  return AddParsed(app, name, type_name, help, [value](const std::string& text) {
    const absl::Status status = ParseNumber(text, value);
    if (status.ok() && !(*value >= 0 && std::isfinite(*value))) {
      return NotA("a number of 0 or more", text);
    }
    return status;
  });
}

}  // namespace dropout::cli
