#include "server/base/workers.h"

#include <algorithm>
#include <atomic>

#include "server/base/running_work.h"

namespace dropoutd {

struct Workers::Job {
  Job(std::size_t count_in, const std::function<void(std::size_t)>& part_in)
      : count(count_in), part(part_in) {}

  // Takes parts until none is left. `part` is alive as long as there is one.
  void Work() {
    const RunningWork running;
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      part(i);
      Checkpoint();
      if (done.fetch_add(1) + 1 == count) done.notify_all();
    }
  }

  void AwaitAll() {
    for (std::size_t n = done.load(); n != count; n = done.load()) done.wait(n);
  }

  const std::size_t count;
  const std::function<void(std::size_t)>& part;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> done{0};
};

Workers::Workers(std::size_t threads) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back(&Workers::Help, this);
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::Run(std::size_t count, const std::function<void(std::size_t)>& part) {
  if (count == 0) return;
  const auto job = std::make_shared<Job>(count, part);
  const std::size_t helpers = std::min(count - 1, threads_.size());
  if (helpers != 0) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.insert(jobs_.end(), helpers, job);
    }
    wake_.notify_all();
  }
  job->Work();
  job->AwaitAll();
}

void Workers::Help() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    const std::shared_ptr<Job> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job->Work();
    lock.lock();
  }
}

}  // namespace dropoutd
