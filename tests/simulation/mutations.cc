#include "tests/simulation/mutations.h"

#include <utility>

#include "tests/simulation/faulty_engines.h"
#include "tests/simulation/faulty_stores.h"

namespace dropoutd {
namespace {

template <typename T>
std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)> Around() {
  return [](std::unique_ptr<Store> store) { return std::make_unique<T>(std::move(store)); };
}

template <typename T>
MakeEngineFace Before() {
  return [](Engine& engine) { return std::make_unique<T>(engine); };
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

const std::vector<Mutation>& AllMutations() {
  static const std::vector<Mutation>* const mutations = new std::vector<Mutation>{
      // A demoted Redis is read without end.
      {"DemotedIsRead", "#!lua flags=allow-oom\n", ""},
      // An ambiguous write with no end.
      {"NoDeadline", "if time > tonumber(deadline)", "if false"},
      {"TombstonesTooShort", "TOMBSTONE_MS, LONGEST_DEADLINE_MS, SNAPSHOT_MS = 30000",
       "TOMBSTONE_MS, LONGEST_DEADLINE_MS, SNAPSHOT_MS = 300"},
      {"NoTombstoneOfASession", "redis.call('PEXPIRE', d, TOMBSTONE_MS)", "redis.call('DEL', d)"},
      {"NoTombstoneOfAnEnd", "local removal = head[1] or NONE",
       "local removal = not head[2] and head[1] or NONE"},
      {"NoTombstoneOfAField", "  if write.removes then\n    removed",
       "  if write.removes then\n    redis.call('HDEL', f, write.name)\n    removed"},
      {"NothingIsReplacedByName", "is == replaces", "true"},
      // A count is not an identity; a write to another's session.
      {"AnyTokenWillDo", "if expected ~= '' and expected ~= head[1] then", "if false then"},
      {"AnyRemovalWillDo", "if expected ~= '' and expected ~= removal then", "if false then"},
      // Clean-up that does not say of whom.
      {"RemovalOfAnyIncarnation", "local is_meant = head[2] == incarnation or",
       "local is_meant = true or"},
      {"ErasureAtAnyToken", "if ARGV[4] ~= '' and ARGV[4] ~= head[1] then", "if false then"},
      // Shortening what another has renewed.
      {"ShorterLife", "if to > s.e then", "if true then"},
      // A history that is lost: what changed is not told.
      {"NothingHasChanged", "if known == head[1] then return {} end",
       "if known ~= NONE then return {} end"},
      {"ChangesAreForgotten", "'c', count, 'l' .. count,", "'c', count, 'l' .. (count + 1),"},
      // Effects before the last check.
      {"PartsBeforeTheLimits", "-- The counts of fields.",
       "for _, part in ipairs(parts) do\n"
       "  if part.value ~= '' then redis.call('HSET', d, 'p' .. part.name, part.value) end\n"
       "end\n"},
      {"WritesBeforeTheLimits", "-- The counts of fields.",
       "for _, write in ipairs(writes) do redis.call('HSET', f, write.name, write.value) end\n"},
      // A session is made of what a fail-over, or time, has left of it.
      {"PartOfWhatWasStaged", "local staged = makes and tonumber(ARGV[at + 1]) or 0",
       "local staged = 0"},
      // A snapshot of two moments.
      {"NothingIsSetAside", "local function set_aside(snapshots, name, value)",
       "local function set_aside(snapshots, name, value)\n  if true then return end"},
      // A repeat that takes another's change for its own.
      {"EveryRepeatIsDone",
       "    if token_of(redis.call('HGET', f, write.name), genesis) == token then "
       "return 0 end",
       "    if redis.call('HEXISTS', f, write.name) == 1 then return 0 end"},
      // A local book taken for the whole; answers that are guessed.
      {"AnswersFromACopy", "", "", Around<RememberingStore>()},
      {"TakesNoAnswerForNo", "", "", Around<HopefulStore>()},
      // Fields of a session to be made that come when it has been.
      {"LateStaging",
       "if redis.call('HGET', KEYS[1], 'i') == ARGV[2] then return {'made', time} end", ""},
      // A session that has ended comes back when Redis's clock steps back.
      {"EndedComesBack", "if tonumber(e) > 0 then redis.pcall('HSET', d, 'e', '-' .. e) end", ""},
      // What engines did.
      {"CountForIdentity", "", "", Around<CountingStore>(), nullptr, true},
      {"DeletedIsLoaded", "", "", Around<RacingStore>(), nullptr, true},
      {"EffectBeforeTheLastCheck", "", "", nullptr, Before<HastyEngine>(), true},
      {"DirtyReads", "", "", nullptr, Before<DirtyEngine>(), true},
      {"AnotherStepsMask", "", "", nullptr, Before<GuessingEngine>(), true},
      {"ForkAnswersCreate", "", "", nullptr, Before<ForgivingEngine>(), true},
      {"ChargeIsNotRefunded", "", "", nullptr, Before<LeakingEngine>(), true},
  };
  return *mutations;
}

}  // namespace dropoutd
