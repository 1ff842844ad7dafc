#include "server/main/reload/reloader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_join.h"
#include "server/main/log/log.h"

namespace dropoutd {
namespace {

constexpr std::chrono::seconds kPeriod{1};

}  // namespace

Reloader::~Reloader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

absl::Status Reloader::Add(WatchedFiles files) {
  absl::Status status = files.Load();
  if (status.ok()) watches_.push_back({std::move(files), {}});
  return status;
}

void Reloader::Start() {
  if (!watches_.empty()) thread_ = std::thread(&Reloader::Run, this);
}

void Reloader::ReloadAll() {
  const std::lock_guard lock(mutex_);
  for (Watch& watch : watches_) {
    watch.last_error.clear();
    Reload(watch);
  }
}

void Reloader::Run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kPeriod, [this] { return stop_; })) {
    for (Watch& watch : watches_) {
      if (watch.files.Changed()) Reload(watch);
    }
  }
}

void Reloader::Reload(Watch& watch) {
  const absl::Status status = watch.files.Load();
  const std::string paths = absl::StrJoin(watch.files.paths(), ",");
  if (status.ok()) {
    watch.last_error.clear();
    LogEvent(LogLevel::info, "reloaded").With("files", paths);
  } else if (status.message() != watch.last_error) {
    // The next look tries again: it may have come between two files of one change.
    watch.last_error = std::string(status.message());
    LogEvent(LogLevel::err, "reload_failed")
        .With("files", paths)
        .With("error", watch.last_error)
        .With("effect", "what was loaded before stays in force");
  }
  failed_ = std::any_of(watches_.begin(), watches_.end(),
                        [](const Watch& each) { return !each.last_error.empty(); });
}

}  // namespace dropoutd
