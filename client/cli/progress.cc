#include "client/cli/progress.h"

#include <unistd.h>

#include <iostream>
#include <utility>

namespace dropout::cli {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr char kWipe[] = "\r\x1b[K";
constexpr char kFrames[] = {'|', '/', '-', '\\'};

}  // namespace

ProgressLine::ProgressLine(std::function<std::string(std::chrono::duration<double>)> describe)
    : describe_(std::move(describe)) {
  if (isatty(STDERR_FILENO) != 0) thread_ = std::thread(&ProgressLine::Run, this);
}

ProgressLine::~ProgressLine() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_one();
  thread_.join();
}

void ProgressLine::Run() {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock<std::mutex> lock(mutex_);
  std::size_t frame = 0;
  do {
    std::cerr << kWipe << kFrames[frame++ % sizeof(kFrames)] << ' '
              << describe_(std::chrono::steady_clock::now() - start) << std::flush;
  } while (!stop_changed_.wait_for(lock, kInterval, [this] { return stop_; }));
  std::cerr << kWipe << std::flush;
}

}  // namespace dropout::cli
