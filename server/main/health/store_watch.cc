#include "server/main/health/store_watch.h"

namespace dropoutd {
namespace {

constexpr std::chrono::seconds kTimeBetweenQuestions{1};
constexpr std::chrono::seconds kLongestAnswer{4};

}  // namespace

StoreWatch::StoreWatch(Store& store)
    : store_(store), ticker_(kTimeBetweenQuestions, [this] { Ask(); }) {}

bool StoreWatch::ok() const {
  const Clock::time_point asked = asked_;
  return last_ok_ && (asked == Clock::time_point::max() || Clock::now() - asked < kLongestAnswer);
}

void StoreWatch::Ask() {
  asked_ = Clock::now();
  last_ok_ = store_.Check().ok();
  asked_ = Clock::time_point::max();
}

}  // namespace dropoutd
