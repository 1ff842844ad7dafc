#include "server/main/metrics/http_endpoint.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/main/health/descriptor_limit.h"

namespace dropoutd {
namespace {

constexpr std::chrono::seconds kSoon{30};

// A client's connection.
class Connection {
 public:
  explicit Connection(const std::string& address, bool reads_little = false)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int least = 1;
    if (reads_little) setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
    const timeval limit = {.tv_sec = kSoon.count(), .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port =
        htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + address.rfind(':') + 1)));
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  }
  Connection(Connection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ~Connection() {
    if (socket_ >= 0) close(socket_);
  }

  void Send(const std::string& text) const {
    EXPECT_EQ(send(socket_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  // All that comes until the server closes; "timeout" if it does not in time.
  std::string ReadAll() const {
    std::string all;
    char bytes[65536];
    while (true) {
      const ssize_t count = recv(socket_, bytes, sizeof(bytes), 0);
      if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return "timeout";
      if (count <= 0) return all;
      all.append(bytes, static_cast<std::size_t>(count));
    }
  }

 private:
  int socket_;
};

class HttpEndpointTest : public testing::Test {
 protected:
  void Start() {
    pages_["/instant"] = {.make = [] { return HttpAnswer{.body = "now"}; }, .is_instant = true};
    auto endpoint = HttpEndpoint::Start("127.0.0.1:0", std::move(pages_));
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    endpoint_ = *std::move(endpoint);
  }

  Connection Ask(const std::string& path) {
    Connection connection(endpoint_->address());
    connection.Send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return connection;
  }

  void ExpectInstant() { EXPECT_TRUE(Ask("/instant").ReadAll().ends_with("\r\n\r\nnow")); }

  std::map<std::string, HttpPage> pages_;
  std::unique_ptr<HttpEndpoint> endpoint_;
};

TEST_F(HttpEndpointTest, APageThatTakesTimeDelaysNoInstantOne) {
  std::latch begun(1);
  std::promise<void> go_on;
  std::shared_future<void> may_end = go_on.get_future().share();
  pages_["/slow"].make = [&begun, may_end] {
    begun.count_down();
    may_end.wait();
    return HttpAnswer{.body = "at last"};
  };
  Start();
  const Connection slow = Ask("/slow");
  begun.wait();
  for (int i = 0; i < 10; ++i) ExpectInstant();
  go_on.set_value();
  EXPECT_TRUE(slow.ReadAll().ends_with("\r\n\r\nat last"));
}

TEST_F(HttpEndpointTest, APageIsMadeOnceForAllThatWaitAndNeverBeforeItIsAskedFor) {
  std::atomic<int> made = 0;
  std::latch begun(1);
  std::promise<void> go_on;
  pages_["/count"].make = [&made, &begun, may_end = go_on.get_future().share()] {
    const int number = ++made;
    if (number == 1) begun.count_down();
    may_end.wait();
    return HttpAnswer{.body = std::to_string(number)};
  };
  Start();
  const Connection first = Ask("/count");
  begun.wait();
  std::vector<Connection> later;
  for (int i = 0; i < 10; ++i) later.push_back(Ask("/count"));
  ExpectInstant();  // The thread has seen them all when it has seen one that came after.
  go_on.set_value();
  EXPECT_TRUE(first.ReadAll().ends_with("\r\n\r\n1"));
  for (const Connection& each : later) EXPECT_TRUE(each.ReadAll().ends_with("\r\n\r\n2"));
  EXPECT_EQ(made, 2);
}

TEST_F(HttpEndpointTest, ClientsThatDoNotReadAreCutOffAndDelayNobody) {
  const std::string body(std::size_t{16} << 20, 'x');
  pages_["/large"].make = [&body] { return HttpAnswer{.body = body}; };
  Start();
  ExpectInstant();
  const std::size_t open_before = OpenDescriptors();
  std::vector<Connection> clients;
  for (int i = 0; i < 30; ++i) {
    clients.emplace_back(endpoint_->address(), true);
    clients.back().Send("GET /large HTTP/1.1\r\n\r\n");
  }
  for (int i = 0; i < 10; ++i) ExpectInstant();
  const std::string whole = Ask("/large").ReadAll();
  EXPECT_GT(whole.size(), body.size());
  // The server closes them when their time is over: its descriptors are free again.
  const auto deadline = std::chrono::steady_clock::now() + kSoon;
  while (OpenDescriptors() > open_before + clients.size() + 1) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  // What was on its way comes, and no more.
  for (const Connection& each : clients) {
    const std::string part = each.ReadAll();
    EXPECT_NE(part, "timeout");
    EXPECT_LT(part.size(), body.size() / 2);
  }
}

TEST_F(HttpEndpointTest, TheOldestThatWaitsForItsClientMakesRoom) {
  std::latch begun(1);
  std::promise<void> go_on;
  pages_["/slow"].make = [&begun, may_end = go_on.get_future().share()] {
    begun.count_down();
    may_end.wait();
    return HttpAnswer{.body = "at last"};
  };
  Start();
  const Connection slow = Ask("/slow");
  begun.wait();
  std::vector<Connection> idle;
  for (std::size_t i = 0; i < 3 * HttpEndpoint::kMaxConnections; ++i) {
    idle.emplace_back(endpoint_->address());
  }
  ExpectInstant();
  EXPECT_EQ(idle.front().ReadAll(), "");  // Closed.
  go_on.set_value();
  EXPECT_TRUE(slow.ReadAll().ends_with("\r\n\r\nat last"));
}

TEST_F(HttpEndpointTest, AProcessWithoutDescriptorsStillAnswers) {
  Start();
  ExpectInstant();
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // The client's sockets are made before, so that only the server's are in want.
  std::vector<Connection> clients;
  std::vector<int> taken;
  const rlimit few = {.rlim_cur = 256, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  while (true) {
    const int descriptor = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (descriptor < 0) break;
    taken.push_back(descriptor);
  }
  ASSERT_EQ(errno, EMFILE);
  ASSERT_FALSE(taken.empty());
  for (int i = 0; i < 20; ++i) {
    // Given to the client: the server has none but its reserve.
    close(taken.back());
    taken.pop_back();
    clients.push_back(Ask("/instant"));
    EXPECT_TRUE(clients.back().ReadAll().ends_with("\r\n\r\nnow")) << i;
  }
  for (const int descriptor : taken) close(descriptor);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  clients.clear();
  ExpectInstant();
}

TEST_F(HttpEndpointTest, RequestsAreReadAsTheyCome) {
  EXPECT_FALSE(ParseHttpRequest("").has_value());
  EXPECT_FALSE(ParseHttpRequest("GET / HTTP/1.1\r\nHost: x\r\n").has_value());
  EXPECT_FALSE(ParseHttpRequest(std::string(kMaxHttpHead - 1, 'x')).has_value());
  const auto get = ParseHttpRequest("GET /a/b?c=d HTTP/1.1\r\nHost: x\r\n\r\nbody");
  ASSERT_TRUE(get.has_value());
  EXPECT_EQ(get->error, 0);
  EXPECT_EQ(get->path, "/a/b");
  EXPECT_FALSE(get->is_head);
  EXPECT_TRUE(ParseHttpRequest("HEAD /a HTTP/1.0\n\n")->is_head);
  for (const auto& [text, error] : std::vector<std::pair<std::string, int>>{
           {"\r\n\r\n", 400},
           {"GET\r\n\r\n", 400},
           {"GET /\r\n\r\n", 400},
           {"GET  HTTP/1.1\r\n\r\n", 400},
           {"GET / HTTP/1.1 x\r\n\r\n", 505},
           {"GET / HTTP/2.0\r\n\r\n", 505},
           {"get / HTTP/1.1\r\n\r\n", 405},
           {"POST / HTTP/1.1\r\n\r\n", 405},
           {"GET / HTTP/1.1\r\n" + std::string(kMaxHttpHead, 'x') + "\r\n\r\n", 431},
           {std::string(kMaxHttpHead, 'x'), 431}}) {
    const auto request = ParseHttpRequest(text);
    ASSERT_TRUE(request.has_value()) << text.substr(0, 40);
    EXPECT_EQ(request->error, error) << text.substr(0, 40);
  }
}

TEST_F(HttpEndpointTest, AnAddressInUseIsNamed) {
  Start();
  const auto second = HttpEndpoint::Start(endpoint_->address(), {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(second.status().message()).find(endpoint_->address()), std::string::npos);
}

}  // namespace
}  // namespace dropoutd
