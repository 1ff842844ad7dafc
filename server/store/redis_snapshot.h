// A session in Redis as it was at one moment.
#ifndef DROPOUTD_SERVER_STORE_REDIS_SNAPSHOT_H_
#define DROPOUTD_SERVER_STORE_REDIS_SNAPSHOT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/token.h"
#include "server/store/redis_answer.h"
#include "server/store/redis_caller.h"
#include "server/store/redis_keys.h"
#include "server/store/store.h"

namespace dropoutd {

// Who changes a field keeps what it was for the snapshots that are read; Next puts the two
// together. What nobody reads for a minute is gone: STORE_UNAVAILABLE. As StoreSnapshot.
class RedisSnapshot final : public StoreSnapshot {
 public:
  // One that snapshot_begin has registered as `id` in `slot`. The caller outlives it.
  RedisSnapshot(RedisKeys keys, RedisSession session, std::string id, std::string slot,
                RedisCaller& caller);
  ~RedisSnapshot() override;

  const StoreAnswer& session() const override { return session_.answer; }
  absl::StatusOr<std::vector<StoreField>> Next(std::size_t limit) override;

 private:
  // The fields of some names, and where to go on.
  absl::Status Read(std::size_t limit, std::vector<StoreField>& fields);

  const RedisKeys keys_;
  const RedisSession session_;
  const std::string id_;
  const std::string base_;
  const std::string set_aside_;  // Its own keys.
  const std::string set_aside_names_;
  RedisCaller& caller_;
  std::string first_ = "-";  // Bound of the names that are to come.
  bool is_over_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_SNAPSHOT_H_
