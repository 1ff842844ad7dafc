// A small HTTP server for operators' tools.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_HTTP_ENDPOINT_H_
#define DROPOUTD_SERVER_MAIN_METRICS_HTTP_ENDPOINT_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "server/main/metrics/http_connection.h"
#include "server/main/metrics/http_page.h"
#include "server/main/metrics/page_maker.h"

namespace dropoutd {

// Answers GET and HEAD of fixed paths, one request a connection, from its start to its end. No
// answer is from a file.
//
// One thread serves all connections and never waits for one of them. A client has a few seconds for
// each thing that it does (http_connection.h). There are at most kMaxConnections: the oldest that
// waits for its client makes room for a new one. Instant pages are made on this thread, the others
// on PageMaker's. Some descriptors are kept in reserve, so that the endpoint still answers when the
// process has no other left.
class HttpEndpoint {
 public:
  static constexpr std::size_t kMaxConnections = 64;

  // Listens on `address`, HOST:PORT with a port of 0 to pick one. UNAVAILABLE names an address
  // that cannot be used.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(const std::string& address,
                                                             std::map<std::string, HttpPage> pages);
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  // With the port that was picked.
  const std::string& address() const { return address_; }

 private:
  using Clock = HttpConnection::Clock;

  HttpEndpoint(int listener, int wake, std::string address, std::map<std::string, HttpPage> pages);

  void Wake() const;
  void Run();
  void Wait();
  void AcceptAll();
  int AcceptOne();
  void MakeRoom();
  void Serve(HttpConnection& connection);
  void Route(HttpConnection& connection, const HttpRequest& request);
  void HandOutMade();
  void CloseFinished();
  void FillReserve();

  const int listener_;
  const int wake_;  // An eventfd.
  const std::string address_;
  const std::map<std::string, HttpPage> pages_;
  std::unique_ptr<PageMaker> maker_;
  std::atomic<bool> stop_{false};

  // The thread's own.
  std::map<std::uint64_t, std::unique_ptr<HttpConnection>> connections_;  // The oldest first.
  std::uint64_t next_ = 0;
  std::vector<int> reserve_;
  Clock::time_point now_;
  Clock::time_point accept_after_;
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_HTTP_ENDPOINT_H_
