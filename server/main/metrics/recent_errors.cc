#include "server/main/metrics/recent_errors.h"

#include <utility>

#include "absl/time/clock.h"
#include "server/base/error.h"

namespace dropoutd {

void RecentErrors::Add(const GatedCall& call, const absl::Status& outcome) {
  const auto reason = ReasonOf(outcome);
  Entry entry{absl::Now(), std::string(call.method), absl::StatusCodeToString(outcome.code()),
              reason.has_value() ? std::string(ReasonName(*reason)) : "", call.request_id};
  const std::lock_guard lock(mutex_);
  entries_.push_front(std::move(entry));
  if (entries_.size() > kKept) entries_.pop_back();
}

std::vector<RecentErrors::Entry> RecentErrors::Entries() const {
  const std::lock_guard lock(mutex_);
  return {entries_.begin(), entries_.end()};
}

}  // namespace dropoutd
