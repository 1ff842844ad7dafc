// Threads that help with work that is large.
#ifndef DROPOUTD_SERVER_BASE_WORKERS_H_
#define DROPOUTD_SERVER_BASE_WORKERS_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace dropoutd {

// Thread-safe.
class Workers {
 public:
  // `threads` besides the callers' own; 0 is allowed.
  explicit Workers(std::size_t threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // How many parts can be at work at once.
  std::size_t width() const { return threads_.size() + 1; }

  // Calls part(0) .. part(count - 1), once each, in any order, on this thread and on those that are
  // idle; returns when all have returned. They must not throw.
  void Run(std::size_t count, const std::function<void(std::size_t)>& part);

 private:
  struct Job;

  void Help();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> jobs_;  // An entry for each helper that is wanted.
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_WORKERS_H_
