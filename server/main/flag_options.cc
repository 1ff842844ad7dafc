#include "server/main/flag_options.h"

#include <cctype>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace dropoutd {
namespace {

bool IsHostPort(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return false;
  }
  // An IPv6 address needs brackets, or its last part would be taken for the port.
  const std::string host = address.substr(0, colon);
  return host.find(':') == std::string::npos || host.front() == '[';
}

// What is wrong with the text of a duration, or nothing.
std::string ParseDuration(const std::string& text, bool may_be_zero, absl::Duration& duration) {
  if (absl::ParseDuration(text, &duration) && duration <= absl::Hours(24 * 366) &&
      (duration > absl::ZeroDuration() || (may_be_zero && duration == absl::ZeroDuration()))) {
    return {};
  }
  return absl::StrCat("\"", text, "\", must be ", may_be_zero ? "0, or " : "",
                      "above 0 and at most 366 days, as 30s or 1h30m");
}

void AddDurationOption(CLI::App& app, const std::string& flag, std::chrono::nanoseconds& value,
                       bool may_be_zero, const std::string& help) {
  const auto set = [&value, flag, may_be_zero](const std::string& text) {
    absl::Duration duration;
    const std::string error = ParseDuration(text, may_be_zero, duration);
    if (!error.empty()) throw CLI::ValidationError("--" + flag, error);
    value = absl::ToChronoNanoseconds(duration);
  };
  std::string default_text = absl::FormatDuration(absl::FromChrono(value));
  app.add_option_function<std::string>("--" + flag, set, help)
      ->envname(EnvironmentName(flag))
      ->type_name("DURATION")
      ->default_str(std::move(default_text));
}

}  // namespace

std::string EnvironmentName(const std::string& flag) {
  std::string name = "DROPOUTD_";
  for (const char c : flag) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

void AddSwitch(CLI::App& app, const std::string& flag, bool& value, const std::string& help) {
  app.add_flag("--" + flag, value, help)->envname(EnvironmentName(flag));
}

void AddDuration(CLI::App& app, const std::string& flag, std::chrono::nanoseconds& value,
                 const std::string& help) {
  AddDurationOption(app, flag, value, /*may_be_zero=*/false, help);
}

void AddDurationOrNone(CLI::App& app, const std::string& flag, std::chrono::nanoseconds& value,
                       const std::string& help) {
  AddDurationOption(app, flag, value, /*may_be_zero=*/true, help + "; 0: no limit");
}

void AddFile(CLI::App& app, const std::string& flag, std::string& path, const std::string& help) {
  AddOption(app, flag, path, help)->check(CLI::ExistingFile);
}

std::string CheckHostPort(const std::string& address) {
  if (IsHostPort(address)) return {};
  return absl::StrCat("\"", address, "\", must be HOST:PORT (port 0 to 65535)");
}

std::string CheckListen(const std::string& address) {
  // The kernel's limit on a socket's path is 108 bytes with the final zero.
  const bool right = absl::StartsWith(address, "unix:")
                         ? address.size() > 6 && address[5] == '/' && address.size() < 108 + 5
                         : IsHostPort(address);
  if (right) return {};
  return absl::StrCat("\"", address, "\", must be HOST:PORT (port 0 to 65535) or unix:/PATH");
}

}  // namespace dropoutd
