#include "tests/bench/redis_child.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>

namespace dropoutd::bench {
namespace {

constexpr char kRedis[] = "/usr/bin/redis-server";
constexpr int kTries = 1000;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<in_port_t>(port));
  return address;
}

bool Accepts(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  const bool accepts =
      connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(socket);
  return accepts;
}

std::vector<std::string> CommandOf(int port, const std::string& folder,
                                   const std::vector<std::string>& options) {
  std::vector<std::string> words = {
      kRedis,   "--port", std::to_string(port), "--bind", "127.0.0.1", "--dir", folder,
      "--save", "",       "--appendonly",       "yes"};
  words.insert(words.end(), options.begin(), options.end());
  return words;
}

}  // namespace

int FreePort() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  bind(socket, reinterpret_cast<const sockaddr*>(&address), size);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  close(socket);
  return ntohs(address.sin_port);
}

bool RedisChild::IsInstalled() { return std::filesystem::exists(kRedis); }

RedisChild::RedisChild(const std::vector<std::string>& options)
    : port_(FreePort()), child_(CommandOf(port_, folder_ / "", options)) {
  for (int i = 0; !Accepts(port_); ++i) {
    if (i == kTries) throw std::runtime_error("redis-server does not answer");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace dropoutd::bench
