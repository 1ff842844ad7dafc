// A store of one server's own, in which others' calls come between, and which may fail.
#ifndef DROPOUTD_TESTS_SIMULATION_LOCAL_STORE_H_
#define DROPOUTD_TESTS_SIMULATION_LOCAL_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/simulation/forwarding_store.h"
#include "tests/simulation/scheduler.h"

namespace dropoutd {

struct LocalFaults {
  double lost = 0;        // Calls that are not made and fail.
  double lost_after = 0;  // Changes that are made and fail.
  double fills = 0;       // Times a second that it is full for a while.
  double waits = 0.3;     // Calls around which others come.

  static LocalFaults Draw(RandomSource64& random);
  std::string Print() const;
};

// Over what outlives it, as a file does a process.
class LocalStore final : public ForwardingStore {
 public:
  LocalStore(std::shared_ptr<Store> store, Scheduler& scheduler, const LocalFaults& faults)
      : ForwardingStore(std::move(store)), scheduler_(scheduler), faults_(faults) {}

  // Its process has ended: whatever is still called in its name fails.
  void End() { has_ended_ = true; }
  void set_full(bool is_full) { is_full_ = is_full; }

  // From now on nothing fails.
  void Heal() {
    faults_ = LocalFaults();
    is_full_ = false;
  }

  void StartCommit(std::string_view key, StoreChange change, Committed done) override {
    done(Commit(key, std::move(change)));
  }
  absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) override;
  absl::Status Stage(std::string_view key, Token incarnation,
                     std::vector<StoreField> fields) override;
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override;
  absl::StatusOr<std::unique_ptr<StoreSnapshot>> Snapshot(std::string_view key) override;
  absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, Token incarnation,
                                           std::optional<Token> expected, const FieldRange& range,
                                           std::size_t keep, std::size_t most) override;
  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation, Token token) override;
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override;

 private:
  absl::Status Before();
  absl::Status After(bool is_change);
  void Wait();

  Scheduler& scheduler_;
  LocalFaults faults_;
  bool has_ended_ = false;
  bool is_full_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_LOCAL_STORE_H_
