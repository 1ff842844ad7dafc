// A small HTTP server for operators' tools.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_HTTP_ENDPOINT_H_
#define DROPOUTD_SERVER_MAIN_METRICS_HTTP_ENDPOINT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

class CivetServer;

namespace dropoutd {

struct HttpAnswer {
  int code = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

// Answers GET and HEAD of fixed paths, from its start to its end. No answer is from a file, and a
// client that is slow is cut off. Pages are called from threads of its own, several at a time.
class HttpEndpoint {
 public:
  using Page = std::function<HttpAnswer()>;

  // Listens on `address`, HOST:PORT with a port of 0 to pick one. UNAVAILABLE names an address
  // that cannot be used.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(const std::string& address,
                                                             std::map<std::string, Page> pages);
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  // With the port that was picked.
  const std::string& address() const { return address_; }

 private:
  class PageHandler;

  HttpEndpoint() = default;

  std::string address_;
  std::vector<std::unique_ptr<PageHandler>> handlers_;  // Outlive the server.
  std::unique_ptr<CivetServer> server_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_HTTP_ENDPOINT_H_
