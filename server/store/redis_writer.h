// A thread that sends changes to Redis in their order.
#ifndef DROPOUTD_SERVER_STORE_REDIS_WRITER_H_
#define DROPOUTD_SERVER_STORE_REDIS_WRITER_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/store/store.h"

namespace dropoutd {

// What waits goes at once, as one batch. Thread-safe.
class RedisWriter {
 public:
  struct Job {
    std::string key;
    StoreChange change;
    Store::Committed done;
  };
  // Makes the changes, in their order, and calls what each one has to be told.
  using Send = std::function<void(std::vector<Job>)>;

  explicit RedisWriter(Send send) : send_(std::move(send)), thread_(&RedisWriter::Run, this) {}
  ~RedisWriter();  // Sends what is left.

  void Enqueue(Job job);

 private:
  void Run();

  const Send send_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> jobs_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_WRITER_H_
