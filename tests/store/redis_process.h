// A real redis-server for tests.
#ifndef DROPOUTD_TESTS_STORE_REDIS_PROCESS_H_
#define DROPOUTD_TESTS_STORE_REDIS_PROCESS_H_

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
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/store/hiredis_connection.h"
#include "server/store/redis_store.h"

extern char** environ;

namespace dropoutd {

inline constexpr auto kRedisPatience = std::chrono::seconds(120);

inline int FreePort() {
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

// A redis-server in a folder of its own, which stays through its deaths.
class RedisProcess {
 public:
  // A replica answers, but takes no store.
  explicit RedisProcess(std::vector<std::string> options = {"--appendonly", "no"},
                        bool is_replica = false)
      : options_(std::move(options)), is_replica_(is_replica) {
    std::string name = (std::filesystem::temp_directory_path() / "dropout-redis-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    address_.host = "127.0.0.1";
    Start();
  }
  ~RedisProcess() {
    Kill();
    std::filesystem::remove_all(folder_);
  }

  // Another process may take the port between its choice and its use: then on another one, unless
  // the server has been known by this one.
  void Start() {
    const auto deadline = std::chrono::steady_clock::now() + kRedisPatience;
    const bool keeps_port = was_up_;
    while (std::chrono::steady_clock::now() < deadline) {
      if (!keeps_port) address_.port = FreePort();
      Spawn();
      while (std::chrono::steady_clock::now() < deadline && IsRunning()) {
        if (IsUp()) {
          was_up_ = true;
          return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
    FAIL() << "redis-server does not start";
  }

  void Kill() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  void Signal(int number) { kill(pid_, number); }

  const RedisAddress& address() const { return address_; }
  RedisAddress& address() { return address_; }

 private:
  bool IsUp() {
    if (!is_replica_) return RedisStore::Open(address_, {.writers = 0}).ok();
    const auto connection = HiredisConnection::Connect(address_);
    return connection.ok() && (*connection)->Run({"PING"}).ok();
  }

  void Spawn() {
    std::vector<std::string> words = {"redis-server",
                                      "--port",
                                      std::to_string(address_.port),
                                      "--bind",
                                      "127.0.0.1",
                                      "--dir",
                                      folder_.string(),
                                      "--save",
                                      "",
                                      "--logfile",
                                      (folder_ / "log").string()};
    words.insert(words.end(), options_.begin(), options_.end());
    std::vector<char*> argv;
    for (std::string& each : words) argv.push_back(each.data());
    argv.push_back(nullptr);
    ASSERT_EQ(posix_spawnp(&pid_, "redis-server", nullptr, nullptr, argv.data(), environ), 0);
  }

  bool IsRunning() {
    if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
    pid_ = 0;
    return false;
  }

  const std::vector<std::string> options_;
  const bool is_replica_;
  std::filesystem::path folder_;
  RedisAddress address_;
  pid_t pid_ = 0;
  bool was_up_ = false;
};

inline bool HasRedis() {
  static const bool has = std::system("redis-server --version > /dev/null 2>&1") == 0;
  return has;
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_REDIS_PROCESS_H_
