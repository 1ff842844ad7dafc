#include "server/main/gate/request_names.h"

#include <algorithm>

namespace dropoutd {
namespace {

constexpr std::size_t kMaxRequestIdBytes = 64;

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

}  // namespace

bool IsRequestId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestIdBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

std::string_view TraceIdOf(std::string_view header) {
  // version "-" trace-id "-" parent-id "-" flags; later versions may append "-" and more.
  constexpr std::size_t kSize = 2 + 1 + 32 + 1 + 16 + 1 + 2;
  if (header.size() < kSize || header[2] != '-' || header[35] != '-' || header[52] != '-') {
    return {};
  }
  const std::string_view version = header.substr(0, 2);
  const std::string_view trace = header.substr(3, 32);
  const std::string_view parent = header.substr(36, 16);
  const bool ends =
      version == "00" ? header.size() == kSize : header.size() == kSize || header[kSize] == '-';
  if (!ends || version == "ff" || !IsLowerHex(version) || !IsLowerHex(trace) ||
      !IsLowerHex(parent) || !IsLowerHex(header.substr(53, 2)) || IsZero(trace) || IsZero(parent)) {
    return {};
  }
  return trace;
}

}  // namespace dropoutd
