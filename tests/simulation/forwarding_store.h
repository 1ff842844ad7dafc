// A store that passes all calls on, for those around one.
#ifndef DROPOUTD_TESTS_SIMULATION_FORWARDING_STORE_H_
#define DROPOUTD_TESTS_SIMULATION_FORWARDING_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/store/store.h"

namespace dropoutd {

class ForwardingStore : public Store {
 public:
  explicit ForwardingStore(std::shared_ptr<Store> store) : store_(std::move(store)) {}

  std::string_view kind() const override { return store_->kind(); }
  bool is_shared() const override { return store_->is_shared(); }
  absl::Status Check() override { return store_->Check(); }
  void StartCommit(std::string_view key, StoreChange change, Committed done) override {
    store_->StartCommit(key, std::move(change), std::move(done));
  }
  absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) override {
    return store_->Commit(key, std::move(change));
  }
  absl::Status Stage(std::string_view key, Token incarnation,
                     std::vector<StoreField> fields) override {
    return store_->Stage(key, incarnation, std::move(fields));
  }
  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override {
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
    return store_->EraseRange(key, incarnation, expected, range, keep, most);
  }
  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation,
                                     Token token) override {
    return store_->Remove(key, incarnation, token);
  }
  absl::StatusOr<std::vector<std::string>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) override {
    return store_->List(prefix, after, limit);
  }
  absl::StatusOr<std::uint64_t> Count() override { return store_->Count(); }
  absl::Status RemoveExpired() override { return store_->RemoveExpired(); }

 protected:
  Store& store() { return *store_; }

 private:
  const std::shared_ptr<Store> store_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_FORWARDING_STORE_H_
