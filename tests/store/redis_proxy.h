// What may befall the bytes between a server and Redis, for tests.
#ifndef DROPOUTD_TESTS_STORE_REDIS_PROXY_H_
#define DROPOUTD_TESTS_STORE_REDIS_PROXY_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace dropoutd {

// Passes bytes on between clients and Redis, or holds them, or cuts connections. What was held is
// let through also after the client has closed its connection.
class RedisProxy {
 public:
  explicit RedisProxy(int redis_port) : redis_port_(redis_port) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 64);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~RedisProxy() {
    stop_ = true;
    acceptor_.join();
    for (std::thread& each : pumps_) each.join();
    close(listener_);
  }
  RedisProxy(const RedisProxy&) = delete;
  RedisProxy& operator=(const RedisProxy&) = delete;

  int port() const { return port_; }

  // After so many more bytes of requests the connection that brings them is cut.
  void CutAfter(std::int64_t bytes) { left_ = bytes; }

  // Keeps requests, until Release lets them through.
  void Hold() { holds_ = true; }
  void Release() { holds_ = false; }
  // Connections whose requests are held and whose clients are still there; and those whose clients
  // have gone, until Redis has carried out all that they brought.
  int waiting() const { return waiting_; }
  int orphans() const { return orphans_; }

  // The next answer, or a part of it, is lost with its connection.
  void LoseAnswer() { loses_ = true; }

 private:
  static sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void Accept() {
    while (!stop_) {
      pollfd ready{listener_, POLLIN, 0};
      if (poll(&ready, 1, 5) <= 0) continue;
      const int client = accept(listener_, nullptr, nullptr);
      if (client >= 0) pumps_.emplace_back([this, client] { Pump(client); });
    }
  }

  void Pump(int client) {
    const int redis = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = Loopback(redis_port_);
    bool open = connect(redis, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    bool has_client = true;
    bool is_orphan = false;
    std::string held;
    while (open && !stop_) {
      if (!held.empty() && !holds_) {
        if (has_client) --waiting_;
        open = Send(redis, held);
        held.clear();
      }
      if (!has_client && held.empty()) break;
      pollfd ready[] = {{has_client ? client : -1, POLLIN, 0}, {redis, POLLIN, 0}};
      if (poll(ready, 2, 2) <= 0) continue;
      if (ready[0].revents != 0) {
        has_client = TakeRequest(client, redis, held, open);
        if (!has_client && !held.empty()) {
          is_orphan = true;
          ++orphans_;
          --waiting_;
        }
      }
      if (open && ready[1].revents != 0) open = PassAnswer(redis, client);
    }
    if (!has_client && open) Drain(redis);
    if (is_orphan) --orphans_;
    close(client);
    close(redis);
  }

  // Redis reads all that it was sent before it sees the end.
  void Drain(int redis) {
    shutdown(redis, SHUT_WR);
    char bytes[4096];
    pollfd ready{redis, POLLIN, 0};
    while (poll(&ready, 1, 1000) > 0 && read(redis, bytes, sizeof(bytes)) > 0) {
    }
  }

  static bool Send(int to, const std::string& bytes) {
    return send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }

  // Whether the client is still there.
  bool TakeRequest(int client, int redis, std::string& held, bool& open) {
    char bytes[65536];
    ssize_t size = read(client, bytes, sizeof(bytes));
    if (size <= 0) return false;
    if (left_ >= 0) {
      const std::int64_t before = left_.fetch_sub(size);
      if (before < size) {
        size = static_cast<ssize_t>(before);
        left_ = -1;
        open = false;
      }
    }
    const std::string text(bytes, static_cast<std::size_t>(size));
    if (holds_ || !held.empty()) {
      if (held.empty()) ++waiting_;
      held += text;
    } else if (!Send(redis, text)) {
      open = false;
    }
    return true;
  }

  bool PassAnswer(int redis, int client) {
    char bytes[65536];
    const ssize_t size = read(redis, bytes, sizeof(bytes));
    if (size <= 0 || loses_.exchange(false)) return false;
    Send(client, std::string(bytes, static_cast<std::size_t>(size)));
    return true;
  }

  const int redis_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<bool> holds_{false};
  std::atomic<bool> loses_{false};
  std::atomic<int> waiting_{0};
  std::atomic<int> orphans_{0};
  std::atomic<std::int64_t> left_{-1};
  std::thread acceptor_;
  std::vector<std::thread> pumps_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_REDIS_PROXY_H_
