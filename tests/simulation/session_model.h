// Whether what was answered about one session can be: the states that it may be in.
#ifndef DROPOUTD_TESTS_SIMULATION_SESSION_MODEL_H_
#define DROPOUTD_TESTS_SIMULATION_SESSION_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/session_state.h"

namespace dropoutd {

// As KeyModel, one level up: every call takes effect at one moment between its beginning and its
// end, but that a Forward may find its layer at an earlier moment than it writes its record. A call
// that had no answer may take effect later, until it is forgotten; but never after anything that it
// was made from has been replaced: the session for changes of it, the record for records.
class SessionModel {
 public:
  using CallId = std::uint32_t;

  // `may_end`: whether the session that this call has made may have ended by itself.
  using MayEnd = std::function<bool(CallId made_by)>;
  SessionModel(const SimRules& rules, PlainMasks& masks, MayEnd may_end);

  void Begin(const EngineCall& call);

  // False: no world explains the answer. `is_replicated`: what came of the call was there at the
  // last Mark.
  bool End(CallId call, const EngineAnswer& answer, bool is_replicated);

  // Its fate is not known; until Forget.
  void EndUnknown(CallId call);
  void Forget(CallId call);

  // What the store has now may come back: Mark. It has: Restore, which returns the calls that may
  // take effect again, until Forget.
  void Mark();
  std::vector<CallId> Restore();

  // Nothing is left of it, as it was in a process that has ended.
  void Vanish();

  // Whether what is answered to it says nothing, as it was under way at a Restore.
  bool IsVoid(CallId call) const;

  // Adds the states that it may be in until the set is dropped; Refresh: those of this moment.
  void Watch(const std::shared_ptr<std::set<SessionState>>& states);
  void Refresh();

  std::size_t unknown() const;
  bool MayBeThere() const;
  std::size_t MostParameters() const;  // Layers that have some.
  std::set<CallId> Makers() const;     // Of the sessions that may be there.
  bool is_lost() const { return is_lost_; }
  void Lose() { is_lost_ = true; }  // From now on nothing is checked.

  std::string Print() const;

 private:
  struct Pending {
    EngineCall call;
    bool has_ended = false;  // Without an answer.
    bool is_void = false;
  };

  // What to expect of a call that has had its moment; null where nobody asks.
  using Expected = std::shared_ptr<const EngineAnswer>;
  struct World {
    SessionState state;
    std::vector<std::pair<CallId, Expected>> done;  // Sorted.

    bool operator<(const World& other) const;
    bool Has(CallId call) const;
    void Set(CallId call, Expected expected);
    void Erase(CallId call);
  };
  using Worlds = std::set<World>;

  std::vector<EngineOutcome> Outcomes(const SessionState& state, const EngineCall& call) const;
  bool MayHaveNoSource(const EngineCall& call) const;
  World After(const World& world, CallId call, const SessionState& state) const;
  Worlds Reachable(const Worlds& from, CallId target);
  void Extend(const World& world, CallId target, std::vector<World>& found) const;
  Worlds Explain(const Worlds& reachable, CallId call, const EngineAnswer& answer) const;
  World Normal(World world) const;
  void Look(const Worlds& worlds);
  void Drop(CallId call);

  const SimRules rules_;
  PlainMasks& masks_;
  const MayEnd may_end_;
  std::map<CallId, Pending> pending_;
  std::map<CallId, EngineCall> ended_;  // Calls that may change something, since Mark.
  std::vector<std::weak_ptr<std::set<SessionState>>> watchers_;
  Worlds worlds_ = {World()};
  Worlds marked_ = {World()};
  bool is_lost_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_SESSION_MODEL_H_
