// A redis-server of any role for tests: a primary, a replica, a Sentinel or a node of a cluster.
#ifndef DROPOUTD_TESTS_STORE_REDIS_NODE_H_
#define DROPOUTD_TESTS_STORE_REDIS_NODE_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "server/store/hiredis_connection.h"
#include "server/store/redis_url.h"

extern char** environ;

namespace dropoutd {

inline constexpr auto kNodePatience = std::chrono::seconds(60);

// A port of 127.0.0.1 that was free a moment ago.
inline int PickPort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

// Looks every few milliseconds until it is true; whether it became so in time.
inline bool Comes(const std::function<bool()>& is_true) {
  const auto deadline = std::chrono::steady_clock::now() + kNodePatience;
  while (!is_true()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

// A process with a folder and a port of its own, which stay through its deaths. It keeps nothing on
// its disk but what it writes into its configuration itself.
class RedisNode {
 public:
  // `config`: lines of its file; `flags` of its command line; `password`: of all servers that it
  // has to do with, or empty.
  explicit RedisNode(const std::vector<std::string>& config, std::vector<std::string> flags = {},
                     std::string password = "")
      : flags_(std::move(flags)), password_(std::move(password)), port_(PickPort()) {
    std::string name = (std::filesystem::temp_directory_path() / "dropout-node-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    std::ofstream file(folder_ / "redis.conf");
    file << "port " << port_ << "\nbind 127.0.0.1\ndir " << folder_.string() << "\nlogfile "
         << (folder_ / "log").string() << "\n";
    if (!password_.empty()) {
      file << "requirepass " << password_ << "\nmasterauth " << password_ << "\n";
    }
    for (const std::string& line : config) file << line << "\n";
    file.close();
    Start();
  }
  ~RedisNode() {
    Kill();
    std::filesystem::remove_all(folder_);
  }
  RedisNode(const RedisNode&) = delete;
  RedisNode& operator=(const RedisNode&) = delete;

  void Start() {
    std::vector<std::string> words = {"redis-server", (folder_ / "redis.conf").string()};
    words.insert(words.end(), flags_.begin(), flags_.end());
    std::vector<char*> argv;
    for (std::string& each : words) argv.push_back(each.data());
    argv.push_back(nullptr);
    ASSERT_EQ(posix_spawnp(&pid_, "redis-server", nullptr, nullptr, argv.data(), environ), 0);
    ASSERT_TRUE(Comes([this] { return !Run({"PING"}).text.empty(); })) << "does not start";
  }

  void Kill() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  void Signal(int number) { kill(pid_, number); }

  // The answer, or null where there is none, over a connection of its own.
  RedisValue Run(const RedisArguments& command) const {
    RedisAddress address;
    address.host = "127.0.0.1";
    address.port = port_;
    address.password = password_;
    const auto connection = HiredisConnection::Connect(address);
    if (!connection.ok()) return {};
    return (*connection)->Run(command).value_or(RedisValue());
  }

  bool Info(std::string_view line) const {
    return Run({"INFO"}).text.find(line) != std::string::npos;
  }

  int port() const { return port_; }
  RedisHost host() const { return {"127.0.0.1", port_}; }

 private:
  const std::vector<std::string> flags_;
  const std::string password_;
  const int port_;
  std::filesystem::path folder_;
  pid_t pid_ = 0;
};

inline bool HasRedisServer() {
  static const bool has = std::system("redis-server --version > /dev/null 2>&1") == 0;
  return has;
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_REDIS_NODE_H_
