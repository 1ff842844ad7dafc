// How many sessions the buckets of a cluster hold.
#ifndef DROPOUTD_SERVER_STORE_REDIS_COUNTS_H_
#define DROPOUTD_SERVER_STORE_REDIS_COUNTS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/slow_mutex.h"
#include "server/store/redis_caller.h"
#include "server/store/redis_commit.h"

namespace dropoutd {

// No script sees more than one bucket, so that the others' counts are asked for beforehand, at most
// once a second, and kept up with what this server makes and removes. So there may be as many
// sessions more than a limit allows as other servers make within a second; and one that they have
// removed may count for a second. Thread-safe.
class RedisCounts {
 public:
  // The caller outlives it.
  explicit RedisCounts(RedisCaller& caller) : caller_(caller) {}

  // In all buckets but that of `key`; `prefix`: of the tenant's keys. From here on the session
  // counts as one that is being made, until Settle.
  absl::StatusOr<SessionsElsewhere> Reserve(int bucket, std::string_view key,
                                            std::string_view prefix);
  void Settle(int bucket, std::string_view key, bool is_made);

  // This server has removed the session.
  void Removed(int bucket, std::string_view key);

  // In all of them.
  absl::StatusOr<std::uint64_t> All();

 private:
  struct Counts {
    std::chrono::nanoseconds time{0};
    std::vector<SessionsElsewhere> in_bucket;
  };

  absl::StatusOr<std::vector<SessionsElsewhere>> Ask(std::string_view prefix);
  absl::Status Refresh(std::string_view prefix);
  bool IsFresh(std::string_view prefix);
  void Add(int bucket, std::string_view key, std::int64_t count);  // With mutex_ held.

  RedisCaller& caller_;
  SlowMutex ask_mutex_;  // Of who asks; before mutex_.
  std::mutex mutex_;
  std::map<std::string, Counts, std::less<>> counts_;      // By prefix.
  std::multiset<std::pair<int, std::string>> being_made_;  // Buckets and keys.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_COUNTS_H_
