#include "server/store/redis_writer.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace dropoutd {
namespace {

constexpr std::size_t kMostJobs = 64;  // That are sent before the answers are read.

}  // namespace

RedisWriter::~RedisWriter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void RedisWriter::Enqueue(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void RedisWriter::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;  // Stopped, and nothing is left.
    const auto end = jobs_.begin() + static_cast<std::ptrdiff_t>(std::min(jobs_.size(), kMostJobs));
    std::vector<Job> some(std::make_move_iterator(jobs_.begin()), std::make_move_iterator(end));
    jobs_.erase(jobs_.begin(), end);
    lock.unlock();
    send_(std::move(some));
    lock.lock();
  }
}

}  // namespace dropoutd
