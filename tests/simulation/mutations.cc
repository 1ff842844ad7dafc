#include "tests/simulation/mutations.h"

#include <map>
#include <utility>

#include "server/store/store_rules.h"
#include "tests/simulation/forwarding_store.h"

namespace dropoutd {
namespace {

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

template <typename T>
std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)> Around() {
  return [](std::unique_ptr<Store> store) { return std::make_unique<T>(std::move(store)); };
}

}  // namespace

std::string Mutation::Of(const std::string& script) const {
  if (from.empty()) return script;
  std::string changed = script;
  for (std::size_t at = changed.find(from); at != std::string::npos;
       at = changed.find(from, at + to.size())) {
    changed.replace(at, from.size(), to);
  }
  return changed;
}

const std::vector<Mutation>& StoreMutations() {
  static const std::vector<Mutation>* const mutations = new std::vector<Mutation>{
      // A demoted Redis is read without end.
      {"DemotedIsRead", "#!lua flags=allow-oom\n", "", {}},
      // An ambiguous write with no end.
      {"NoDeadline", "if time > tonumber(deadline)", "if false", {}},
      {"TombstonesTooShort",
       "TOMBSTONE_MS, LONGEST_DEADLINE_MS, SNAPSHOT_MS = 30000",
       "TOMBSTONE_MS, LONGEST_DEADLINE_MS, SNAPSHOT_MS = 300",
       {}},
      {"NoTombstoneOfASession",
       "redis.call('PEXPIRE', d, TOMBSTONE_MS)",
       "redis.call('DEL', d)",
       {}},
      {"NoTombstoneOfAnEnd",
       "local removal = head[1] or NONE",
       "local removal = not head[2] and head[1] or NONE",
       {}},
      {"NoTombstoneOfAField",
       "  if write.removes then\n    removed",
       "  if write.removes then\n    redis.call('HDEL', f, write.name)\n    removed",
       {}},
      {"NothingIsReplacedByName", "is == replaces", "true", {}},
      // A count is not an identity; a write to another's session.
      {"AnyTokenWillDo", "if expected ~= '' and expected ~= head[1] then", "if false then", {}},
      {"AnyRemovalWillDo", "if expected ~= '' and expected ~= removal then", "if false then", {}},
      // Clean-up that does not say of whom.
      {"RemovalOfAnyIncarnation",
       "local is_meant = head[2] == incarnation or",
       "local is_meant = true or",
       {}},
      {"ErasureAtAnyToken", "if ARGV[4] ~= '' and ARGV[4] ~= head[1] then", "if false then", {}},
      // Shortening what another has renewed.
      {"ShorterLife", "if to > s.e then", "if true then", {}},
      // A history that is lost: what changed is not told.
      {"NothingHasChanged",
       "if known == head[1] then return {} end",
       "if known ~= NONE then return {} end",
       {}},
      {"ChangesAreForgotten", "'c', count, 'l' .. count,", "'c', count, 'l' .. (count + 1),", {}},
      // Effects before the last check.
      {"PartsBeforeTheLimits",
       "-- The counts of fields.",
       "for _, part in ipairs(parts) do\n"
       "  if part.value ~= '' then redis.call('HSET', d, 'p' .. part.name, part.value) end\n"
       "end\n",
       {}},
      {"WritesBeforeTheLimits",
       "-- The counts of fields.",
       "for _, write in ipairs(writes) do redis.call('HSET', f, write.name, write.value) end\n",
       {}},
      // A session is made of what a fail-over, or time, has left of it.
      {"PartOfWhatWasStaged",
       "local staged = makes and tonumber(ARGV[at + 1]) or 0",
       "local staged = 0",
       {}},
      // A snapshot of two moments.
      {"NothingIsSetAside",
       "local function set_aside(snapshots, name, value)",
       "local function set_aside(snapshots, name, value)\n  if true then return end",
       {}},
      // A repeat that takes another's change for its own.
      {"EveryRepeatIsDone",
       "    if token_of(redis.call('HGET', f, write.name), genesis) == token then "
       "return 0 end",
       "    if redis.call('HEXISTS', f, write.name) == 1 then return 0 end",
       {}},
      // A local book taken for the whole; answers that are guessed.
      {"AnswersFromACopy", "", "", Around<RememberingStore>()},
      {"TakesNoAnswerForNo", "", "", Around<HopefulStore>()},
  };
  return *mutations;
}

}  // namespace dropoutd
