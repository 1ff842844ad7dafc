#include "server/store/redis_counts.h"

#include <utility>

#include "server/base/status_macros.h"
#include "server/store/redis_answer.h"
#include "server/store/redis_keys.h"
#include "server/store/redis_scripts.h"
#include "server/store/redis_topology.h"

namespace dropoutd {
namespace {

constexpr std::chrono::seconds kOldest{1};
constexpr std::size_t kMostPrefixes = 1000;

}  // namespace

absl::StatusOr<std::vector<SessionsElsewhere>> RedisCounts::Ask(std::string_view prefix) {
  const bool is_cluster = caller_.topology().is_cluster();
  const RedisBounds bounds = BoundsOfPrefix(prefix);
  std::vector<RedisCall> calls(is_cluster ? kRedisBuckets : 1);
  std::vector<RedisCall*> pointers;
  for (RedisCall& call : calls) {
    call.bucket = static_cast<int>(pointers.size());
    const RedisIndex index(call.bucket, is_cluster);
    call.script = &Scripts().count;
    call.keys = {index.keys, index.expiry};
    if (!is_cluster)
      call.keys.insert(call.keys.end(), {std::string(kOldRedisKeys), std::string(kOldRedisExpiry)});
    call.arguments = {bounds.first, bounds.last};
    pointers.push_back(&call);
  }
  std::vector<SessionsElsewhere> counts;
  for (const auto& answer : caller_.RunAll(pointers)) {
    DROPOUTD_RETURN_IF_ERROR(answer.status());
    counts.push_back({.of_tenant = static_cast<std::uint64_t>(NumberAt(*answer, 3)),
                      .all = static_cast<std::uint64_t>(NumberAt(*answer, 2))});
  }
  return counts;
}

bool RedisCounts::IsFresh(std::string_view prefix) {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(prefix);
  return found != counts_.end() && caller_.options().now() - found->second.time < kOldest;
}

absl::Status RedisCounts::Refresh(std::string_view prefix) {
  if (IsFresh(prefix)) return absl::OkStatus();
  const std::lock_guard asking(ask_mutex_);
  if (IsFresh(prefix)) return absl::OkStatus();  // Another thread has asked meanwhile.
  const std::chrono::nanoseconds now = caller_.options().now();
  auto asked = Ask(prefix);
  const std::lock_guard lock(mutex_);
  // While a part of the cluster is away the last counts serve, where there are any.
  if (const auto last = counts_.find(prefix); !asked.ok() && last != counts_.end()) {
    last->second.time = now;
    return absl::OkStatus();
  }
  DROPOUTD_ASSIGN_OR_RETURN(std::vector<SessionsElsewhere> counts, std::move(asked));
  if (counts_.size() >= kMostPrefixes) counts_.clear();
  counts_[std::string(prefix)] = {now, std::move(counts)};
  return absl::OkStatus();
}

absl::StatusOr<SessionsElsewhere> RedisCounts::Reserve(int bucket, std::string_view key,
                                                       std::string_view prefix) {
  DROPOUTD_RETURN_IF_ERROR(Refresh(prefix));
  const std::lock_guard lock(mutex_);
  const std::vector<SessionsElsewhere>& counts = counts_[std::string(prefix)].in_bucket;
  SessionsElsewhere sum;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (i == static_cast<std::size_t>(bucket)) continue;
    sum.of_tenant += counts[i].of_tenant;
    sum.all += counts[i].all;
  }
  for (const auto& [other, session] : being_made_) {
    if (other == bucket) continue;
    ++sum.all;
    if (session.starts_with(prefix)) ++sum.of_tenant;
  }
  being_made_.emplace(bucket, key);
  return sum;
}

void RedisCounts::Settle(int bucket, std::string_view key, bool is_made) {
  const std::lock_guard lock(mutex_);
  const auto found = being_made_.find({bucket, std::string(key)});
  if (found != being_made_.end()) being_made_.erase(found);
  if (is_made) Add(bucket, key, 1);
}

void RedisCounts::Removed(int bucket, std::string_view key) {
  const std::lock_guard lock(mutex_);
  Add(bucket, key, -1);
}

void RedisCounts::Add(int bucket, std::string_view key, std::int64_t count) {
  const auto add = [count](std::uint64_t& sum) {
    if (count > 0 || sum > 0) sum += static_cast<std::uint64_t>(count);
  };
  for (auto& [prefix, counts] : counts_) {
    if (counts.in_bucket.empty()) continue;
    SessionsElsewhere& here = counts.in_bucket[static_cast<std::size_t>(bucket)];
    add(here.all);
    if (key.starts_with(prefix)) add(here.of_tenant);
  }
}

absl::StatusOr<std::uint64_t> RedisCounts::All() {
  DROPOUTD_ASSIGN_OR_RETURN(const std::vector<SessionsElsewhere> counts, Ask(""));
  std::uint64_t sum = 0;
  for (const SessionsElsewhere& each : counts) sum += each.all;
  return sum;
}

}  // namespace dropoutd
