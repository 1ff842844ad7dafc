#include "server/base/ticker.h"

#include <utility>

namespace dropoutd {

Ticker::Ticker(std::chrono::nanoseconds period, std::function<void()> tick)
    : period_(period), tick_(std::move(tick)), thread_([this] { Run(); }) {}

Ticker::~Ticker() {
  Stop();
  thread_.join();
}

void Ticker::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
}

void Ticker::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    tick_();
    lock.lock();
    wake_.wait_for(lock, period_, [this] { return stop_; });
  }
}

}  // namespace dropoutd
