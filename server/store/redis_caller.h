// Calls scripts until they are answered.
#ifndef DROPOUTD_SERVER_STORE_REDIS_CALLER_H_
#define DROPOUTD_SERVER_STORE_REDIS_CALLER_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/redis_call.h"
#include "server/store/redis_options.h"
#include "server/store/redis_pool.h"
#include "server/store/redis_topology.h"

namespace dropoutd {

// Every script answers a list: a word, Redis's time in milliseconds, and more. A call is made again
// where a connection was lost, another server has taken over or will, or the deadline was
// misjudged; so a script must do nothing the second time. Thread-safe.
class RedisCaller {
 public:
  // How long after it was handed to the connection a write may be made, and how long it may take
  // to learn what became of a call; see the scripts for what they allow.
  static constexpr std::chrono::milliseconds kDeadline{6000};

  RedisCaller(std::unique_ptr<RedisTopology> topology, RedisOptions options);

  RedisTopology& topology() { return *topology_; }
  const RedisOptions& options() const { return options_; }

  // STORE_UNAVAILABLE if it is not answered in twice the command's time-out, if Redis refuses it,
  // or if too few replicas have what was answered.
  absl::StatusOr<RedisValue> Run(RedisCall& call);

  // All at once, those of one server in their order: where one has to be made again, so are the
  // later ones of the same first key that were not answered "ok".
  std::vector<absl::StatusOr<RedisValue>> RunAll(std::vector<RedisCall*> calls);

  // A plain command to the bucket's primary, once.
  absl::StatusOr<RedisValue> RunCommand(int bucket, const RedisArguments& command);

 private:
  struct Attempt;

  // Of one server; each attempt's `answer` is set if it is settled.
  void RunGroup(std::vector<Attempt*> group);
  void RunOn(RedisLink& link, const std::vector<Attempt*>& group);
  void Settle(RedisLink& link, const absl::StatusOr<RedisValue>& answer, Attempt& attempt);
  void SettleError(RedisLink& link, const RedisValue& error, Attempt& attempt);
  void Ask(const std::string& ask, Attempt& attempt);
  void Append(RedisLink& link, RedisCall& call);
  absl::Status Confirm(RedisLink& link, int bucket);
  void Void(const absl::Status& why, Attempt& attempt);
  void CheckReplicas(const absl::StatusOr<RedisValue>& have, Attempt& attempt);

  const std::unique_ptr<RedisTopology> topology_;
  const RedisOptions options_;
  RedisPool pool_;
};

// Of an answer of a script.
std::string_view WordOf(const RedisValue& answer);

absl::Status RedisUnavailable(std::string_view why);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_CALLER_H_
