// How the Redis store goes about its calls.
#ifndef DROPOUTD_SERVER_STORE_REDIS_OPTIONS_H_
#define DROPOUTD_SERVER_STORE_REDIS_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <thread>

namespace dropoutd {

struct RedisOptions {
  // Never steps backwards; the only clock of this machine that the store reads.
  std::function<std::chrono::nanoseconds()> now = [] {
    return std::chrono::steady_clock::now().time_since_epoch();
  };
  std::function<void(std::chrono::milliseconds)> sleep = [](std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
  };

  // Threads that send what StartCommit is given; with none it is done before StartCommit returns.
  std::size_t writers = 4;

  // A change is acknowledged once so many replicas have it.
  int wait_replicas = 0;

  // What the connections have. A call may take twice as long.
  std::chrono::milliseconds command_timeout{3000};
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_OPTIONS_H_
