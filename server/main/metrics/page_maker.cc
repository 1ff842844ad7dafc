#include "server/main/metrics/page_maker.h"

#include <utility>

namespace dropoutd {

PageMaker::PageMaker(const std::map<std::string, HttpPage>& pages, std::function<void()> wake)
    : pages_(pages), wake_owner_(std::move(wake)), thread_([this] { Run(); }) {}

PageMaker::~PageMaker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::uint64_t PageMaker::Ask(const std::string& path) {
  const std::lock_guard lock(mutex_);
  asked_.insert(path);
  wake_.notify_all();
  return round_ + 1;
}

std::vector<PageMaker::Made> PageMaker::TakeMade() {
  const std::lock_guard lock(mutex_);
  return std::exchange(made_, {});
}

void PageMaker::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !asked_.empty(); });
    if (stop_) return;
    const std::set<std::string> asked = std::exchange(asked_, {});
    const std::uint64_t round = ++round_;
    for (const std::string& path : asked) {
      lock.unlock();
      auto answer = std::make_shared<const HttpAnswer>(pages_.at(path).make());
      lock.lock();
      made_.push_back({path, round, std::move(answer)});
      wake_owner_();
    }
  }
}

}  // namespace dropoutd
