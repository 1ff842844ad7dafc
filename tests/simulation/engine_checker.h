// Checks what engines answer, session by session.
#ifndef DROPOUTD_TESTS_SIMULATION_ENGINE_CHECKER_H_
#define DROPOUTD_TESTS_SIMULATION_ENGINE_CHECKER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/session/limits.h"
#include "tests/simulation/history.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/session_model.h"

namespace dropoutd {

// The models of all sessions' keys, and what was wrong. Of the simulation's threads.
class EngineChecker {
 public:
  using Time = Scheduler::Time;

  // A call of which the fate is unknown may take effect for `patience` after its end.
  EngineChecker(Scheduler& scheduler, const SimRules& rules, const Limits& limits, Time patience);

  struct Call {
    std::string key;
    SessionModel::CallId id = 0;
    Time begin{0};
    std::size_t client = 0;
    EngineCall call;
  };
  Call Begin(std::size_t client, std::string_view key, EngineCall call);
  void End(const Call& call, const EngineAnswer& answer);
  void EndUnknown(const Call& call, std::string_view why);

  // A spec that no other is equal to; its number.
  std::uint32_t AddSpec(SimSpec spec);
  const SimSpec& SpecOf(std::uint32_t number) const { return specs_[number]; }
  std::uint32_t SpecWithSeed(std::uint64_t seed) const;  // 0: none has it.

  // The states that the key may be in, for as long as it is held.
  std::shared_ptr<const std::set<SessionState>> Watch(std::string_view key);

  // That the fork begins of what `source` is.
  void AddFork(const Call& fork, std::string_view source);

  // Every change that is answered is on the replicas, and so of the last Mark.
  void set_replicates(bool replicates) { replicates_ = replicates; }
  void Mark();
  void Restore();
  void Vanish();              // All sessions have gone with their process.
  void StepAhead(Time step);  // The store's clock.
  std::size_t unknown(std::string_view key) { return ModelOf(key).unknown(); }

  void Fail(std::string_view key, std::string_view what);
  void Note(std::string_view key, std::string text);

  bool has_failed() const { return !violation_.empty(); }
  const std::string& violation() const { return violation_; }
  const History& history() const { return history_; }
  std::uint64_t calls() const { return calls_; }
  std::size_t lost_keys() const;

 private:
  // How long a session lasts at least.
  struct Life {
    Time ttl{0};
    Time renewed{0};
    bool is_short = false;  // The store has lost that it was renewed.
  };
  struct Key {
    SessionModel model;
    Time last_there{0};                                 // When there may have been a session.
    std::map<SessionModel::CallId, std::string> forks;  // Under way, and of what.
  };

  Key& KeyOf(std::string_view key);
  Key& Look(const Call& call);
  SessionModel& ModelOf(std::string_view key) { return KeyOf(key).model; }
  bool MayEnd(SessionModel::CallId maker) const;
  Time AheadSince(Time time) const;
  Time LeastTtl(const EngineCall& call) const;
  void Renew(const Call& call);
  void CheckQuota(const Call& call, const EngineAnswer& answer);
  std::size_t CountSessions(const Call& call, std::string_view tenant) const;
  std::size_t CountParameters(std::string_view tenant) const;
  void ForgetLater(std::string_view key, SessionModel::CallId id);

  Scheduler& scheduler_;
  const SimRules rules_;
  const Limits limits_;
  const Time patience_;
  bool replicates_ = false;
  PlainMasks masks_;
  std::map<std::string, Key, std::less<>> keys_;
  std::map<SessionModel::CallId, Life> lives_;
  std::vector<SimSpec> specs_ = {SimSpec()};
  std::vector<std::pair<Time, Time>> steps_ahead_;  // When, and how far.
  SessionModel::CallId next_ = 1;
  History history_;
  std::string violation_;
  std::uint64_t calls_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_ENGINE_CHECKER_H_
