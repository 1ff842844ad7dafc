#include "server/engine/sweeper.h"

#include <malloc.h>

#include <chrono>

namespace dropoutd {
namespace {

constexpr auto kPeriod = std::chrono::seconds(1);

// The allocator keeps small blocks that were freed; after a large sweep the operating
// system gets them back.
constexpr std::size_t kTrimAfter = 1000;

}  // namespace

Sweeper::Sweeper(Repository& repository) : repository_(repository), thread_([this] { Run(); }) {}

Sweeper::~Sweeper() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Sweeper::Run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kPeriod, [this] { return stop_; })) {
    if (repository_.Sweep() >= kTrimAfter) malloc_trim(0);
  }
}

}  // namespace dropoutd
