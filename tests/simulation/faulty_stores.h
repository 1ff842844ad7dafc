// Stores with faults that ours had.
#ifndef DROPOUTD_TESTS_SIMULATION_FAULTY_STORES_H_
#define DROPOUTD_TESTS_SIMULATION_FAULTY_STORES_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "server/store/store_rules.h"
#include "tests/simulation/forwarding_store.h"

namespace dropoutd {

// Takes what it was answered last for what there is.
class RememberingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override {
    const auto found = answers_.find(std::string(key));
    // As long as it knows the token that it is asked for.
    if (found != answers_.end() && query.known && found->second.token == query.known &&
        query.fields.empty()) {
      StoreAnswer same = found->second;
      same.parts.clear();
      same.is_whole = false;
      return same;
    }
    auto answer = store().Query(key, query);
    if (answer.ok()) {
      answers_[std::string(key)] = *answer;
      answers_[std::string(key)].fields.clear();
    }
    return answer;
  }

 private:
  std::map<std::string, StoreAnswer> answers_;
};

// Takes no answer for a no.
class HopefulStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation,
                                     Token token) override {
    auto result = store().Remove(key, incarnation, token);
    if (!result.ok()) return Refused(StoreOutcome::kAbsent);
    return result;
  }
};

// Takes a change for another that is as many changes after the session's beginning.
class CountingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) override {
    const std::uint64_t before = change.expected ? CountOf(*change.expected) : 0;
    const bool renames = change.makes || !change.parts.empty() || !change.erases.empty();
    auto result = store().Commit(key, change);
    if (result.ok() && result->outcome == StoreOutcome::kConflict && result->exists &&
        before != 0 && CountOf(result->token) == before) {
      change.expected = result->token;
      result = store().Commit(key, change);
    }
    if (result.ok() && result->outcome == StoreOutcome::kDone && renames) {
      Counts()[change.token] = change.makes ? 1 : before + 1;
    }
    return result;
  }

  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override {
    auto answer = store().Query(key, query);
    if (answer.ok() && query.known && answer->token != query.known && CountOf(query.known) != 0 &&
        CountOf(query.known) == CountOf(answer->token)) {
      answer->token = query.known;
      answer->parts.clear();
      answer->is_whole = false;
    }
    return answer;
  }

 private:
  // Of all servers; tokens are of one run.
  static std::map<Token, std::uint64_t>& Counts() {
    static auto* const counts = new std::map<Token, std::uint64_t>;
    return *counts;
  }
  static std::uint64_t CountOf(Token token) {
    const auto found = Counts().find(token);
    return found == Counts().end() ? 0 : found->second;
  }
};

// A look at a session that comes in the midst of its removal, of a store that is trusted later.
class RacingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) override {
    const auto removed = removed_.find(std::string(key));
    if (removed != removed_.end()) {
      StoreAnswer answer = std::move(removed->second);
      removed_.erase(removed);
      return answer;
    }
    return store().Query(key, query);
  }

  absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation,
                                     Token token) override {
    const auto before = store().Query(key, {});
    auto result = store().Remove(key, incarnation, token);
    if (!is_shared() && before.ok() && result.ok()) removed_[std::string(key)] = *before;
    return result;
  }

 private:
  std::map<std::string, StoreAnswer> removed_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_FAULTY_STORES_H_
