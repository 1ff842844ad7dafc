// Sessions in Redis, for several servers at once.
#ifndef DROPOUTD_SERVER_STORE_REDIS_STORE_H_
#define DROPOUTD_SERVER_STORE_REDIS_STORE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/store/redis_connection.h"
#include "server/store/store.h"

namespace dropoutd {

// One Redis server (or what answers as one), with all of its data in memory: it must not evict
// (maxmemory-policy noeviction). A change is as durable as Redis makes it: with appendfsync always
// it survives Redis's own death. Sessions end by Redis's clock, so that servers whose clocks differ
// agree on it. Thread-safe; every call is one round trip.
class RedisStore final : public Store {
 public:
  using Now = std::function<StoreTime()>;

  // STORE_UNAVAILABLE if Redis cannot be reached now. Later it may come and go.
  static absl::StatusOr<std::unique_ptr<RedisStore>> Open(const RedisAddress& address,
                                                          Now now = std::chrono::system_clock::now);
  ~RedisStore() override;

  std::string_view kind() const override { return "redis"; }
  bool is_shared() const override { return true; }
  std::uint64_t history() const override { return history_; }
  absl::Status Check() override;

  void StartCommit(std::string_view key, StoreChange change, Committed done) override;
  absl::StatusOr<StoreVersion> Commit(std::string_view key, StoreChange change) override;
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override;
  absl::StatusOr<std::vector<StoreField>> Scan(std::string_view key, const FieldRange& range,
                                               std::size_t limit) override;
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, const FieldRange& range,
                                           std::size_t keep) override;
  absl::Status Remove(std::string_view key) override;
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override;
  absl::StatusOr<std::uint64_t> Count() override;
  absl::Status RemoveExpired() override;

 private:
  struct Job {
    std::string key;
    StoreChange change;
    Committed done;
  };

  // Writes the changes of some of the sessions, in their order, on a connection of its own. What
  // waits is sent at once.
  class Writer {
   public:
    explicit Writer(RedisStore& store) : store_(store), thread_(&Writer::Run, this) {}
    ~Writer();

    void Enqueue(Job job);

   private:
    void Run();
    void Send(std::deque<Job>& jobs);

    RedisStore& store_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    bool stop_ = false;
    std::unique_ptr<RedisConnection> connection_;
    std::thread thread_;
  };

  RedisStore(const RedisAddress& address, Now now);

  // Milliseconds until `time`, as an argument of the scripts.
  std::string FromNow(const std::optional<StoreTime>& time) const;

  // A new connection; one to another process begins another history.
  absl::StatusOr<std::unique_ptr<RedisConnection>> Connect();
  // One that is of the history of now.
  absl::StatusOr<std::unique_ptr<RedisConnection>> TakeConnection();
  void GiveBack(std::unique_ptr<RedisConnection> connection);

  // A call that may be made twice: again on a new connection if the one it had has been lost
  // since its last use.
  absl::StatusOr<RedisReply> Call(const RedisScript& script, const RedisArguments& keys,
                                  const RedisArguments& arguments);
  absl::Status SetAside(std::string_view key);

  const RedisAddress address_;
  const Now now_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<RedisConnection>> idle_;  // Of the history of now.
  std::string run_id_;  // Of the process that was last connected to.
  std::atomic<std::uint64_t> history_{0};
  std::vector<std::unique_ptr<Writer>> writers_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_STORE_H_
