// Sessions in this process's memory: what the other stores are measured by.
#ifndef DROPOUTD_SERVER_STORE_MEMORY_STORE_H_
#define DROPOUTD_SERVER_STORE_MEMORY_STORE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/store/change_log.h"
#include "server/store/store.h"

namespace dropoutd {

// Keeps nothing when the process ends. Thread-safe.
class MemoryStore final : public Store {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Now = std::function<Time()>;  // Never steps backwards.

  // `is_shared`: as if other servers wrote here too, for engines that share one.
  explicit MemoryStore(Now now = std::chrono::steady_clock::now, bool is_shared = false)
      : now_(std::move(now)), is_shared_(is_shared) {}

  std::string_view kind() const override { return "memory"; }
  bool is_shared() const override { return is_shared_; }
  absl::Status Check() override { return absl::OkStatus(); }

  // Both call `done` before they return.
  void StartCommit(std::string_view key, StoreChange change, Committed done) override;
  absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) override;
  absl::Status Stage(std::string_view key, Token incarnation,
                     std::vector<StoreField> fields) override;
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override;
  absl::StatusOr<std::unique_ptr<StoreSnapshot>> Snapshot(std::string_view key) override;
  absl::StatusOr<std::vector<Token>> Tokens(const std::vector<std::string>& keys) override;
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, Token incarnation,
                                           std::optional<Token> expected, const FieldRange& range,
                                           std::size_t keep, std::size_t most) override;
  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation, Token token) override;
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override;
  absl::StatusOr<std::uint64_t> Count() override;
  absl::Status RemoveExpired() override;

 private:
  struct Field {
    std::string value;
    Token token;
  };
  using Fields = std::map<std::string, Field, std::less<>>;

  // What is left of something that was removed.
  struct Tombstone {
    Token token;
    Time end;
  };

  struct Session {
    Token incarnation;
    Token token;
    Time end;
    std::map<std::string, std::string, std::less<>> parts;
    Fields fields;
    std::map<std::string, Tombstone, std::less<>> removed;  // Fields.
    ChangeLog log;
  };

  // Fields of a session that is not made yet.
  struct Staged {
    std::map<std::string, std::string, std::less<>> fields;
    Time end;
  };

  // The lock is held in all that follow.
  Session* Find(std::string_view key);  // Null where none is there.
  Session* FindIncarnation(std::string_view key, Token incarnation);
  Token TokenOf(const Session& session, const std::string& field) const;
  Token RemovalOf(std::string_view key) const;
  std::uint64_t CountOf(std::string_view prefix) const;

  StoreResult Apply(std::string_view key, StoreChange& change);
  StoreResult Make(std::string_view key, StoreChange& change);
  // What keeps the change from being made: nothing, if it can be.
  std::optional<StoreResult> CheckMaking(std::string_view key, const StoreChange& change);
  std::optional<StoreResult> CheckWrites(const Session& session, const StoreChange& change) const;
  std::optional<StoreResult> CheckCounts(const Session& session, const StoreChange& change) const;
  StoreResult Write(StoreChange& change, Session& session) const;
  void Renew(const std::optional<std::chrono::nanoseconds>& ttl, Session& session) const;
  StoreAnswer AnswerOf(const Session& session) const;  // With all parts.

  const Now now_;
  const bool is_shared_;
  std::mutex mutex_;
  std::map<std::string, Session, std::less<>> sessions_;
  std::map<std::string, Tombstone, std::less<>> removed_;
  std::map<std::pair<std::string, Token>, Staged> staged_;  // By key and incarnation.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_MEMORY_STORE_H_
