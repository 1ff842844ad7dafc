#include "server/main/metrics/http_endpoint.h"

#include <CivetServer.h>
#include <netdb.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace dropoutd {
namespace {

absl::Status CannotListen(const std::string& address) {
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address,
                                             ": the address is taken by another process, or is "
                                             "not one of this machine's"));
}

// Civetweb wants a number where a person may write a name. Returns "" if there is none.
std::string NumericHost(absl::string_view host) {
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(std::string(host).c_str(), nullptr, &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  char text[NI_MAXHOST];
  if (getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), nullptr, 0,
                  NI_NUMERICHOST) != 0) {
    return {};
  }
  return found->ai_family == AF_INET6 ? absl::StrCat("[", text, "]") : text;
}

}  // namespace

class HttpEndpoint::PageHandler final : public CivetHandler {
 public:
  explicit PageHandler(std::string path, Page page)
      : path_(std::move(path)), page_(std::move(page)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    return Answer(connection, true);
  }
  bool handleHead(CivetServer*, mg_connection* connection) override {
    return Answer(connection, false);
  }

 private:
  bool Answer(mg_connection* connection, bool with_body) const {
    // Civetweb also gives a handler what is below its path.
    const char* const asked = mg_get_request_info(connection)->local_uri;
    const HttpAnswer answer = asked != nullptr && path_ == asked
                                  ? page_()
                                  : HttpAnswer{404, "text/plain; charset=utf-8", "no such page\n"};
    mg_printf(connection,
              "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
              "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
              "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
              "Connection: close\r\n\r\n",
              answer.code, mg_get_response_code_text(connection, answer.code), answer.type.c_str(),
              answer.body.size());
    if (with_body) mg_write(connection, answer.body.data(), answer.body.size());
    return true;
  }

  const std::string path_;
  const Page page_;
};

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(
    const std::string& address, std::map<std::string, Page> pages) {
  const std::size_t colon = address.rfind(':');
  const std::string host = NumericHost(absl::string_view(address).substr(0, colon));
  if (host.empty()) return CannotListen(address);
  std::unique_ptr<HttpEndpoint> endpoint(new HttpEndpoint);
  try {
    endpoint->server_ = std::make_unique<CivetServer>(std::vector<std::string>{
        "listening_ports", host + address.substr(colon), "num_threads", "4", "request_timeout_ms",
        "5000", "enable_directory_listing", "no", "enable_keep_alive", "no"});
  } catch (const CivetException&) {
    return CannotListen(address);
  }
  for (auto& [path, page] : pages) {
    endpoint->handlers_.push_back(std::make_unique<PageHandler>(path, std::move(page)));
    endpoint->server_->addHandler(path, endpoint->handlers_.back().get());
  }
  const std::vector<int> ports = endpoint->server_->getListeningPorts();
  if (ports.empty()) return CannotListen(address);
  endpoint->address_ = absl::StrCat(address.substr(0, colon + 1), ports.front());
  return endpoint;
}

HttpEndpoint::~HttpEndpoint() { server_.reset(); }

}  // namespace dropoutd
