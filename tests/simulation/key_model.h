// Whether what was answered about one key can be: the states that it may be in.
#ifndef DROPOUTD_TESTS_SIMULATION_KEY_MODEL_H_
#define DROPOUTD_TESTS_SIMULATION_KEY_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/key_state.h"

namespace dropoutd {

// Every call takes effect at one moment between its beginning and its end. One whose fate is not
// known may do so until it is forgotten, or never. So there is a set of worlds: a state, and which
// of the calls under way have had their effect. An answer leaves the worlds that explain it; if
// none is left, it was wrong.
class KeyModel {
 public:
  using CallId = std::uint64_t;

  // `latest_clock`, here and below: the latest time that the store's clock has shown.
  CallId Begin(KeyCall call);

  // False: no world explains the answer. `is_replicated`: what came of the call was there at the
  // last Mark.
  bool End(CallId call, const KeyAnswer& answer, bool is_replicated, std::int64_t latest_clock);

  // Its fate is not known. Such a one, and an erasure, may take effect until Forget.
  void EndUnknown(CallId call);
  void Forget(CallId call, std::int64_t latest_clock);

  // A read of a moment before now, of which the answer comes later, with End.
  void Pin(CallId call, std::int64_t latest_clock);

  // Whoever was answered by this session has renewed it.
  void Renew(Token incarnation, std::int64_t ends_at);

  // What the store has now may come back: remembers the worlds. Restore: it has come back. Returns
  // the calls that may take effect again, until Forget. Those under way have an unknown fate.
  void Mark();
  std::vector<CallId> Restore();

  // Whether what is answered to it says nothing, as it was under way at a Restore.
  bool IsVoid(CallId call) const;

  // How many calls have an unknown fate: each may double the worlds.
  std::size_t unknown() const;

  // There were too many worlds, so that nothing is checked any more.
  bool is_lost() const { return is_lost_; }

  std::string Print() const;

 private:
  struct Pending {
    KeyCall call;
    bool is_unknown = false;  // Nobody asks for its answer.
    bool is_void = false;
    bool is_pinned = false;  // It has had its moment.

    bool may_repeat() const { return call.kind == KeyCall::Kind::kErase; }
  };

  // What came of a call that has not been answered yet: a read's state, or the answer to expect.
  // Null where nobody asks.
  using Explained = std::shared_ptr<const KeyOutcome>;
  struct World {
    KeyState state;
    std::map<CallId, Explained> done;

    bool operator<(const World& other) const;
  };
  using Worlds = std::set<World>;

  // The worlds from these on in which calls but `target` have had their effects or not yet. Those
  // in which the target has, already, are as they were.
  Worlds Reachable(const Worlds& from, CallId target, std::int64_t latest_clock);
  Worlds Explain(const Worlds& worlds, CallId call, const KeyAnswer& answer,
                 std::int64_t latest_clock);
  void Extend(const World& world, CallId target, std::int64_t latest_clock,
              std::vector<World>& found) const;
  bool Matches(const Pending& pending, const KeyOutcome& outcome, const KeyAnswer& answer,
               std::int64_t latest_clock) const;
  void Drop(CallId call);
  static void NoLongerAsk(CallId call, World& world);
  bool IsAwaited(const KeyCall& call) const;
  World Normal(World world) const;
  void Normalize();

  CallId next_ = 1;
  std::map<CallId, Pending> pending_;
  std::map<CallId, KeyCall> ended_;  // Calls that may change something, since Mark.
  Worlds worlds_ = {World()};
  Worlds marked_ = {World()};
  bool is_lost_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_KEY_MODEL_H_
