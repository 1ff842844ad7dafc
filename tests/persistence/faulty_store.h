// A store whose calls go wrong as a test wants it.
#ifndef DROPOUTD_TESTS_PERSISTENCE_FAULTY_STORE_H_
#define DROPOUTD_TESTS_PERSISTENCE_FAULTY_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/base/error.h"
#include "server/store/store.h"

namespace dropoutd {

// What becomes of a call that writes. All but kNone answer STORE_UNAVAILABLE.
enum class WriteFault {
  kNone,
  kRefused,  // It is not made.
  kLost,     // It is made, and the answer is lost.
  kLate,     // It is made by Deliver.
};

// Not thread-safe where faults are set; else as the store around which it is, which must outlive
// it.
class FaultyStore final : public Store {
 public:
  explicit FaultyStore(Store& store) : store_(&store) {}

  // Each is asked ahead of a call of its kind. May call the store's users.
  std::function<WriteFault(const StoreChange&)> on_commit;
  std::function<WriteFault()> on_erase;
  std::function<WriteFault()> on_remove;
  std::function<WriteFault()> on_stage;
  std::function<absl::Status()> on_query;

  // The next commit has this fault, and those after it none.
  void FailCommit(WriteFault fault) {
    on_commit = [fault, is_first = true](const StoreChange&) mutable {
      return std::exchange(is_first, false) ? fault : WriteFault::kNone;
    };
  }
  static std::function<WriteFault()> Always(WriteFault fault) {
    return [fault] { return fault; };
  }
  void Heal() {
    on_commit = nullptr;
    on_erase = on_remove = on_stage = nullptr;
    on_query = nullptr;
  }

  // Lets everything through that was held back; returns how much that was.
  std::size_t Deliver() {
    const auto late = std::exchange(late_, {});
    for (const auto& each : late) each();
    return late.size();
  }

  // Where calls go from now on.
  void MoveTo(Store& store) { store_ = &store; }

  std::string_view kind() const override { return store_->kind(); }
  bool is_shared() const override { return store_->is_shared(); }
  absl::Status Check() override { return store_->Check(); }

  void StartCommit(std::string_view key, StoreChange change, Committed done) override {
    done(Commit(key, std::move(change)));
  }

  absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) override {
    const WriteFault fault = on_commit ? on_commit(change) : WriteFault::kNone;
    return Write<StoreResult>(fault, [key = std::string(key), change](Store& store) {
      return store.Commit(key, change);
    });
  }

  absl::Status Stage(std::string_view key, Token incarnation,
                     std::vector<StoreField> fields) override {
    if (Asks(on_stage) != WriteFault::kNone) return Unavailable();
    return store_->Stage(key, incarnation, std::move(fields));
  }

  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override {
    if (on_query) {
      absl::Status status = on_query();
      if (!status.ok()) return status;
    }
    return store_->Query(key, query);
  }

  absl::StatusOr<std::unique_ptr<StoreSnapshot>> Snapshot(std::string_view key) override {
    return store_->Snapshot(key);
  }

  absl::StatusOr<std::vector<Token>> Tokens(const std::vector<std::string>& keys) override {
    return store_->Tokens(keys);
  }

  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, Token incarnation,
                                           std::optional<Token> expected, const FieldRange& range,
                                           std::size_t keep, std::size_t most) override {
    return Write<std::uint64_t>(Asks(on_erase), [key = std::string(key), incarnation, expected,
                                                 range, keep, most](Store& store) {
      return store.EraseRange(key, incarnation, expected, range, keep, most);
    });
  }

  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation,
                                     Token token) override {
    return Write<StoreResult>(Asks(on_remove),
                              [key = std::string(key), incarnation, token](Store& store) {
                                return store.Remove(key, incarnation, token);
                              });
  }

  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override {
    return store_->List(prefix, after, limit);
  }

  absl::StatusOr<std::uint64_t> Count() override { return store_->Count(); }
  absl::Status RemoveExpired() override { return store_->RemoveExpired(); }

 private:
  static absl::Status Unavailable() {
    return MakeError(Reason::kStoreUnavailable, "the store did not answer");
  }

  static WriteFault Asks(const std::function<WriteFault()>& on) {
    return on ? on() : WriteFault::kNone;
  }

  template <typename Answer, typename Call>
  absl::StatusOr<Answer> Write(WriteFault fault, Call call) {
    if (fault == WriteFault::kNone) return call(*store_);
    if (fault == WriteFault::kLost) static_cast<void>(call(*store_));
    if (fault == WriteFault::kLate) {
      late_.push_back([this, call] { static_cast<void>(call(*store_)); });
    }
    return Unavailable();
  }

  Store* store_;
  std::vector<std::function<void()>> late_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_PERSISTENCE_FAULTY_STORE_H_
