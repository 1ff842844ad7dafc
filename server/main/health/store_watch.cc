#include "server/main/health/store_watch.h"

namespace dropoutd {
namespace {

constexpr std::chrono::seconds kTimeBetweenQuestions{1};
constexpr std::chrono::seconds kLongestAnswer{4};

}  // namespace

StoreWatch::StoreWatch(Store& store) : store_(store), thread_([this] { Run(); }) {}

StoreWatch::~StoreWatch() {
  Stop();
  thread_.join();
}

void StoreWatch::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
}

bool StoreWatch::ok() const {
  const Clock::time_point asked = asked_;
  return last_ok_ && (asked == Clock::time_point::max() || Clock::now() - asked < kLongestAnswer);
}

void StoreWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    asked_ = Clock::now();
    last_ok_ = store_.Check().ok();
    asked_ = Clock::time_point::max();
    lock.lock();
    wake_.wait_for(lock, kTimeBetweenQuestions, [this] { return stop_; });
  }
}

}  // namespace dropoutd
