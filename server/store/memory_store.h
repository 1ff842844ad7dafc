// Sessions in this process's memory: what the other stores are measured by.
#ifndef DROPOUTD_SERVER_STORE_MEMORY_STORE_H_
#define DROPOUTD_SERVER_STORE_MEMORY_STORE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/store/store.h"

namespace dropoutd {

// Keeps nothing when the process ends. Thread-safe.
class MemoryStore final : public Store {
 public:
  using Now = std::function<StoreTime()>;

  // `is_shared`: as if other servers wrote here too, for engines that share one.
  explicit MemoryStore(Now now = std::chrono::system_clock::now, bool is_shared = false)
      : now_(std::move(now)), is_shared_(is_shared) {}

  std::string_view kind() const override { return "memory"; }
  bool is_shared() const override { return is_shared_; }
  std::uint64_t history() const override { return 0; }
  absl::Status Check() override { return absl::OkStatus(); }

  void StartCommit(std::string_view key, StoreChange change, Committed done) override;
  absl::StatusOr<StoreVersion> Commit(std::string_view key, StoreChange change) override {
    return CommitAndWait(*this, key, std::move(change));
  }
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
  using Fields = std::map<std::string, std::string, std::less<>>;

  struct Session {
    StoreVersion version = 0;
    StoreTime expire_time;
    std::string document;
    Fields fields;
  };

  using Sessions = std::map<std::string, Session, std::less<>>;

  // The lock is held. Null if the session is not there or has expired.
  Session* Find(std::string_view key);
  absl::StatusOr<StoreVersion> Apply(std::string_view key, StoreChange& change);

  const Now now_;
  const bool is_shared_;
  std::mutex mutex_;
  Sessions sessions_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_MEMORY_STORE_H_
