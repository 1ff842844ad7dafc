// Sessions in Redis, for several servers at once.
#ifndef DROPOUTD_SERVER_STORE_REDIS_STORE_H_
#define DROPOUTD_SERVER_STORE_REDIS_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/store/hiredis_connection.h"
#include "server/store/redis_caller.h"
#include "server/store/redis_counts.h"
#include "server/store/redis_keys.h"
#include "server/store/redis_options.h"
#include "server/store/redis_topology.h"
#include "server/store/redis_writer.h"
#include "server/store/store.h"

namespace dropoutd {

// Redis 7.0 or newer, with all of its data in memory: it must not evict (maxmemory-policy
// noeviction). A change is as durable as Redis makes it: with appendfsync always it survives
// Redis's own death, with wait_replicas also that of its disk. Sessions end by Redis's clock, so
// that servers whose clocks differ agree on it. Thread-safe; most calls are one round trip. As
// Store says; what is left to assume is that Redis's clock steps back by no more than 20 s (what a
// tombstone outlives the last deadline by) within half a minute.
class RedisStore final : public Store {
 public:
  // STORE_UNAVAILABLE if Redis cannot be reached now; FAILED_PRECONDITION, without a reason, if it
  // is too old. Later it may come and go.
  static absl::StatusOr<std::unique_ptr<RedisStore>> Open(std::unique_ptr<RedisTopology> topology,
                                                          RedisOptions options = {});
  // Of one server.
  static absl::StatusOr<std::unique_ptr<RedisStore>> Open(const RedisAddress& address,
                                                          RedisOptions options = {});

  std::string_view kind() const override { return "redis"; }
  bool is_shared() const override { return true; }
  absl::Status Check() override;

  void StartCommit(std::string_view key, StoreChange change, Committed done) override;
  absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) override;
  absl::Status Stage(std::string_view key, Token incarnation,
                     std::vector<StoreField> fields) override;
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override;
  // 8 snapshots of a session at once; more: STORE_UNAVAILABLE. Must not outlive the store.
  absl::StatusOr<std::unique_ptr<StoreSnapshot>> Snapshot(std::string_view key) override;
  absl::StatusOr<std::vector<Token>> Tokens(const std::vector<std::string>& keys) override;
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, Token incarnation,
                                           std::optional<Token> expected, const FieldRange& range,
                                           std::size_t keep, std::size_t most) override;
  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation, Token token) override;
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override;
  absl::StatusOr<std::uint64_t> Count() override;
  // In a cluster of some of the buckets, in turn.
  absl::Status RemoveExpired() override;

 private:
  RedisStore(std::unique_ptr<RedisTopology> topology, RedisOptions options);

  absl::Status CheckVersion();
  RedisKeys KeysOf(std::string_view key) const { return RedisKeys(key, is_cluster_); }

  // Calls a script that answers "old" where the session is one of format 1, which is then moved.
  absl::StatusOr<RedisValue> RunMoving(const RedisKeys& keys, RedisCall& call);
  absl::Status Move(const RedisKeys& keys);

  absl::StatusOr<SessionsElsewhere> Elsewhere(const RedisKeys& keys, const StoreChange& change);
  void CountResult(const RedisKeys& keys, const StoreChange& change,
                   const absl::StatusOr<StoreResult>& result);
  void Send(std::vector<RedisWriter::Job> jobs);

  // The sessions of some buckets that have ended, up to a number for each; one bucket stands for
  // all outside of a cluster.
  absl::StatusOr<std::vector<std::string>> Due(int first_bucket, int buckets);
  absl::Status Sweep(const std::vector<std::string>& sessions);

  RedisCaller caller_;
  const bool is_cluster_;
  RedisCounts counts_;
  std::atomic<int> swept_{0};  // The bucket from which the next sweep goes on.
  std::vector<std::unique_ptr<RedisWriter>> writers_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_STORE_H_
