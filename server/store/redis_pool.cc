#include "server/store/redis_pool.h"

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMostIdle = 64;  // Of a group.
constexpr int kNoGroup = -1;           // Of a connection that nobody else may use.

}  // namespace

absl::StatusOr<RedisLink> RedisPool::Ready(
    absl::StatusOr<std::unique_ptr<RedisConnection>> connection) {
  DROPOUTD_RETURN_IF_ERROR(connection.status());
  RedisLink link;
  link.connection = *std::move(connection);
  link.group = kNoGroup;
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue time, link.connection->Run({"TIME"}));
  std::int64_t seconds = 0;
  std::int64_t microseconds = 0;
  if (time.list.size() != 2 || !absl::SimpleAtoi(time.list[0].text, &seconds) ||
      !absl::SimpleAtoi(time.list[1].text, &microseconds)) {
    return MakeError(Reason::kStoreUnavailable, "Redis: does not tell the time");
  }
  link.SawTime(seconds * 1000 + microseconds / 1000, now_());
  return link;
}

absl::StatusOr<RedisLink> RedisPool::Take(int bucket) {
  const int group = topology_.GroupOf(bucket);
  while (true) {
    RedisLink link;
    {
      const std::lock_guard lock(mutex_);
      std::vector<RedisLink>& idle = idle_[group];
      if (idle.empty()) break;
      link = std::move(idle.back());
      idle.pop_back();
    }
    if (!link.connection->HasBeenClosed()) return link;
  }
  DROPOUTD_ASSIGN_OR_RETURN(RedisLink link, Ready(topology_.Connect(bucket)));
  // Another server may have taken over meanwhile.
  if (topology_.GroupOf(bucket) == group) link.group = group;
  return link;
}

absl::StatusOr<RedisLink> RedisPool::TakeAsked(std::string_view ask) {
  return Ready(topology_.ConnectAsked(ask));
}

void RedisPool::GiveBack(RedisLink link) {
  std::vector<RedisLink> old;  // End outside of the lock.
  const bool is_good = !link.connection->is_broken() && !link.is_suspect;
  const std::lock_guard lock(mutex_);
  if (link.group == kNoGroup) return;
  std::vector<RedisLink>& idle = idle_[link.group];
  if (!is_good) {
    old.swap(idle);
  } else if (idle.size() < kMostIdle) {
    idle.push_back(std::move(link));
  }
}

}  // namespace dropoutd
