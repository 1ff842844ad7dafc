#include "tests/simulation/redis_words.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace dropoutd {

std::string UpperCase(std::string_view text) {
  return absl::AsciiStrToUpper(absl::string_view(text.data(), text.size()));
}

std::optional<std::int64_t> ReadInteger(std::string_view text) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || std::to_string(value) != text) return std::nullopt;
  return value;
}

std::optional<double> ReadScore(const std::string& text) {
  if (text.empty() || absl::ascii_isspace(static_cast<unsigned char>(text[0]))) {
    return std::nullopt;
  }
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size() || std::isnan(value)) return std::nullopt;
  return value;
}

std::string PrintNumber(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return absl::StrFormat("%.17g", value);
}

RespValue SyntaxError() { return RespValue::Error("ERR syntax error"); }
RespValue NotAnInteger() { return RespValue::Error("ERR value is not an integer or out of range"); }
RespValue NotAScore() { return RespValue::Error("ERR value is not a valid float"); }

}  // namespace dropoutd
