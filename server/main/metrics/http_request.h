// The head of an HTTP/1.1 request, as far as pages with fixed paths need it.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_HTTP_REQUEST_H_
#define DROPOUTD_SERVER_MAIN_METRICS_HTTP_REQUEST_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace dropoutd {

constexpr std::size_t kMaxHttpHead = 8192;

struct HttpRequest {
  int error = 0;  // The status that refuses it; 0: it is a right GET or HEAD.
  bool is_head = false;
  std::string path;  // As it was sent, without the query.
};

// Reads what has come so far. Nothing while more has to come, which is at most kMaxHttpHead bytes.
std::optional<HttpRequest> ParseHttpRequest(std::string_view received);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_HTTP_REQUEST_H_
