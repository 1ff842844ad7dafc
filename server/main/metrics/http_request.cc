#include "server/main/metrics/http_request.h"

namespace dropoutd {
namespace {

constexpr int kBadRequest = 400;
constexpr int kMethodNotAllowed = 405;
constexpr int kHeadTooLarge = 431;
constexpr int kVersionNotSupported = 505;

bool IsWholeHead(std::string_view received) {
  return received.find("\n\r\n") != std::string_view::npos ||
         received.find("\n\n") != std::string_view::npos;
}

HttpRequest Refused(int error) {
  HttpRequest request;
  request.error = error;
  return request;
}

// Of "METHOD TARGET VERSION".
HttpRequest ParseRequestLine(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t second = line.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) {
    return Refused(kBadRequest);
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(second + 1);
  if (!version.starts_with("HTTP/") || target.empty()) return Refused(kBadRequest);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return Refused(kVersionNotSupported);
  const bool is_head = method == "HEAD";
  if (!is_head && method != "GET") return Refused(kMethodNotAllowed);
  HttpRequest request;
  request.is_head = is_head;
  request.path = std::string(target.substr(0, target.find('?')));
  return request;
}

}  // namespace

std::optional<HttpRequest> ParseHttpRequest(std::string_view received) {
  if (!IsWholeHead(received.substr(0, kMaxHttpHead))) {
    if (received.size() < kMaxHttpHead) return std::nullopt;
    return Refused(kHeadTooLarge);
  }
  std::string_view line = received.substr(0, received.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return ParseRequestLine(line);
}

}  // namespace dropoutd
