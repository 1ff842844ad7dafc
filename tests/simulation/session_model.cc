#include "tests/simulation/session_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMostWorlds = 2'000;
constexpr std::size_t kMostSources = 200;

bool IsRecordOf(const EngineCall& a, const EngineCall& b) {
  return a.layer == b.layer && a.slot == b.slot;
}

// Whether the record that the answer was made from is still there, though it may not be.
bool MissesRelease(const EngineCall& call, const EngineAnswer& expected,
                   const SessionState& state) {
  return expected.must_go.has_value() &&
         state.layers[call.layer].steps[call.slot] == *expected.must_go;
}

bool ReleasesOne(const EngineCall& call) { return call.kind == EngineCallKind::kBackward; }

}  // namespace

bool SessionModel::World::operator<(const World& other) const {
  if (state != other.state) return state < other.state;
  if (done.size() != other.done.size()) return done.size() < other.done.size();
  for (std::size_t i = 0; i < done.size(); ++i) {
    const auto& [x, expected] = done[i];
    const auto& [y, others] = other.done[i];
    if (x != y) return x < y;
    if (expected == others) continue;
    if (expected == nullptr || others == nullptr) return expected == nullptr;
    if (IsBefore(*expected, *others)) return true;
    if (IsBefore(*others, *expected)) return false;
  }
  return false;
}

bool SessionModel::World::Has(CallId call) const {
  return std::any_of(done.begin(), done.end(),
                     [call](const auto& each) { return each.first == call; });
}

void SessionModel::World::Set(CallId call, Expected expected) {
  const auto at = std::lower_bound(done.begin(), done.end(), call,
                                   [](const auto& each, CallId id) { return each.first < id; });
  if (at != done.end() && at->first == call) {
    at->second = std::move(expected);
  } else {
    done.insert(at, {call, std::move(expected)});
  }
}

void SessionModel::World::Erase(CallId call) {
  std::erase_if(done, [call](const auto& each) { return each.first == call; });
}

SessionModel::SessionModel(const SimRules& rules, PlainMasks& masks, MayEnd may_end)
    : rules_(rules), masks_(masks), may_end_(std::move(may_end)) {}

void SessionModel::Begin(const EngineCall& call) {
  pending_[call.id].call = call;
  Look(worlds_);
}

// A session whose time is over may have gone first.
std::vector<EngineOutcome> SessionModel::Outcomes(const SessionState& state,
                                                  const EngineCall& call) const {
  auto outcomes = OutcomesOf(state, call, rules_, masks_);
  if (state.is_there() && may_end_(state.made_by)) {
    for (EngineOutcome& each : OutcomesOf(SessionState(), call, rules_, masks_)) {
      // Lists leave no note that it has ended.
      if (call.kind == EngineCallKind::kList) each.state = state;
      outcomes.push_back(std::move(each));
    }
  }
  if (call.kind == EngineCallKind::kFork && MayHaveNoSource(call)) {
    EngineOutcome none{state, {}};
    none.answer.error = ErrorOf(Reason::kSessionNotFound);
    outcomes.push_back(std::move(none));
  }
  return outcomes;
}

bool SessionModel::MayHaveNoSource(const EngineCall& call) const {
  return std::any_of(call.sources->begin(), call.sources->end(), [this](const auto& source) {
    return source.is_there() && may_end_(source.made_by);
  });
}

// The world where the call has made `state` of it: what had no answer, and was made from what is
// no more, will never be.
SessionModel::World SessionModel::After(const World& world, CallId call,
                                        const SessionState& state) const {
  World next{state, world.done};
  if (state == world.state) return next;
  const EngineCall& made = pending_.at(call).call;
  const bool is_another = state.made_by != world.state.made_by;
  const bool changes =
      HasAnotherToken(world.state, state) || made.kind == EngineCallKind::kReleaseSteps;
  for (const auto& [id, other] : pending_) {
    if (!other.has_ended || id == call || next.Has(id)) continue;
    // What the store has lost may have been made from other changes that it has lost.
    if (other.is_void && pending_.at(call).is_void) continue;
    const EngineCall& late = other.call;
    const bool is_record = ReleasesOne(late) || late.kind == EngineCallKind::kForward;
    const bool is_dead = is_another ||
                         (changes && !ReleasesOne(late) && late.kind != EngineCallKind::kDelete) ||
                         (!changes && is_record && IsRecordOf(made, late)) ||
                         (made.kind == EngineCallKind::kReleaseSteps && ReleasesOne(late) &&
                          state.layers[late.layer].steps[late.slot] !=
                              world.state.layers[late.layer].steps[late.slot]);
    if (is_dead) next.Set(id, nullptr);
  }
  return next;
}

// The worlds that are one effect further.
void SessionModel::Extend(const World& world, CallId target, std::vector<World>& found) const {
  for (const auto& [id, pending] : pending_) {
    // The target has its effect where its answer is looked at.
    if (id == target || world.Has(id)) continue;
    for (const EngineOutcome& outcome : Outcomes(world.state, pending.call)) {
      if (pending.has_ended && outcome.state == world.state) continue;
      World next = After(world, id, outcome.state);
      next.Set(id,
               pending.has_ended ? nullptr : std::make_shared<const EngineAnswer>(outcome.answer));
      found.push_back(std::move(next));
    }
  }
}

SessionModel::Worlds SessionModel::Reachable(const Worlds& from, CallId target) {
  Worlds reached = from;
  std::vector<World> edge(from.begin(), from.end());
  while (!edge.empty()) {
    const World world = std::move(edge.back());
    edge.pop_back();
    if (target != 0 && world.Has(target)) continue;
    std::vector<World> next;
    Extend(world, target, next);
    for (World& each : next) {
      each = Normal(std::move(each));
      if (reached.insert(each).second) edge.push_back(std::move(each));
    }
    if (reached.size() > kMostWorlds) {
      is_lost_ = true;
      break;
    }
  }
  return reached;
}

// Those of the worlds, or of what they become, that explain the answer.
SessionModel::Worlds SessionModel::Explain(const Worlds& reachable, CallId call,
                                           const EngineAnswer& answer) const {
  const EngineCall& asked = pending_.at(call).call;
  Worlds left;
  for (const World& world : reachable) {
    const auto done = std::find_if(world.done.begin(), world.done.end(),
                                   [call](const auto& each) { return each.first == call; });
    if (done != world.done.end()) {
      if (done->second == nullptr || !Agrees(asked, *done->second, answer, rules_)) continue;
      if (MissesRelease(asked, *done->second, world.state)) continue;
      World next = world;
      next.Erase(call);
      left.insert(std::move(next));
      continue;
    }
    for (const EngineOutcome& outcome : Outcomes(world.state, asked)) {
      if (Agrees(asked, outcome.answer, answer, rules_) &&
          !MissesRelease(asked, outcome.answer, outcome.state)) {
        left.insert(After(world, call, outcome.state));
      }
    }
  }
  return left;
}

bool SessionModel::End(CallId call, const EngineAnswer& answer, bool is_replicated) {
  if (is_lost_) return true;
  const Worlds reachable = Reachable(worlds_, call);
  if (is_lost_) return true;
  Worlds left = Explain(reachable, call, answer);
  Look(reachable);
  Look(left);
  if (left.empty()) return false;
  worlds_ = std::move(left);
  const EngineCall asked = pending_.at(call).call;
  bool may_be_lost = !asked.is_read();
  if (is_replicated && may_be_lost) {
    Worlds replicated = Explain(Reachable(marked_, call), call, answer);
    // None: it has changed nothing, and may have seen what the replicas do not have.
    if (!replicated.empty() && !is_lost_) {
      marked_ = std::move(replicated);
      may_be_lost = false;
    }
  }
  if (may_be_lost) ended_[call] = asked;
  Drop(call);
  return true;
}

void SessionModel::EndUnknown(CallId call) {
  Pending& pending = pending_.at(call);
  if (pending.call.is_read()) return Drop(call);
  // Where it has had its moment already it may have been before something that it now loses to.
  if (!is_lost_) {
    const Worlds reachable = Reachable(worlds_, 0);
    if (!is_lost_) worlds_ = reachable;
  }
  pending.has_ended = true;
  ended_[call] = pending.call;
  Worlds worlds;
  for (World world : worlds_) {
    const auto done = std::find_if(world.done.begin(), world.done.end(),
                                   [call](const auto& each) { return each.first == call; });
    if (done != world.done.end()) done->second = nullptr;
    worlds.insert(Normal(std::move(world)));
  }
  worlds_ = std::move(worlds);
}

void SessionModel::Forget(CallId call) {
  if (pending_.count(call) == 0) return;
  // It has had its effect by now, or never will; so it is of what was marked.
  for (Worlds* const worlds : {&worlds_, &marked_}) {
    if (!is_lost_) *worlds = Reachable(*worlds, 0);
  }
  Drop(call);
}

void SessionModel::Drop(CallId call) {
  pending_.erase(call);
  for (Worlds* const worlds : {&worlds_, &marked_}) {
    Worlds without;
    for (World world : *worlds) {
      world.Erase(call);
      without.insert(Normal(std::move(world)));
    }
    *worlds = std::move(without);
  }
}

void SessionModel::Mark() {
  marked_ = worlds_;
  ended_.clear();
}

std::vector<SessionModel::CallId> SessionModel::Restore() {
  std::vector<CallId> again;
  for (const auto& [id, call] : ended_) {
    pending_[id].call = call;
    again.push_back(id);
  }
  for (auto& [id, pending] : pending_) {
    pending.is_void = true;
    if (ended_.count(id) != 0) pending.has_ended = true;
  }
  worlds_.clear();
  for (World world : marked_) {
    std::erase_if(world.done, [this](const auto& each) { return pending_.count(each.first) == 0; });
    for (auto& [id, expected] : world.done) expected = nullptr;
    worlds_.insert(Normal(std::move(world)));
  }
  Look(worlds_);
  return again;
}

void SessionModel::Vanish() {
  worlds_ = marked_ = {World()};
  pending_.clear();
  ended_.clear();
}

bool SessionModel::IsVoid(CallId call) const { return pending_.at(call).is_void; }

std::size_t SessionModel::unknown() const {
  return static_cast<std::size_t>(std::count_if(
      pending_.begin(), pending_.end(), [](const auto& each) { return each.second.has_ended; }));
}

bool SessionModel::MayBeThere() const {
  if (is_lost_) return true;
  const bool any = std::any_of(worlds_.begin(), worlds_.end(),
                               [](const World& world) { return world.state.is_there(); });
  return any || std::any_of(pending_.begin(), pending_.end(), [](const auto& each) {
           const EngineCallKind kind = each.second.call.kind;
           return kind == EngineCallKind::kCreate || kind == EngineCallKind::kFork ||
                  kind == EngineCallKind::kImport;
         });
}

std::size_t SessionModel::MostParameters() const {
  std::size_t most = is_lost_ ? 1 : 0;
  for (const World& world : worlds_) {
    const auto& layer = world.state.layers[kConcreteLayer];
    most = std::max<std::size_t>(most, layer.uid != 0 ? 1 : 0);
  }
  return most;
}

std::set<SessionModel::CallId> SessionModel::Makers() const {
  std::set<CallId> makers;
  for (const World& world : worlds_) {
    if (world.state.is_there()) makers.insert(world.state.made_by);
  }
  return makers;
}

void SessionModel::Watch(const std::shared_ptr<std::set<SessionState>>& states) {
  watchers_.push_back(states);
  Refresh();
}

void SessionModel::Refresh() {
  if (!is_lost_) Look(Reachable(worlds_, 0));
}

void SessionModel::Look(const Worlds& worlds) {
  std::erase_if(watchers_, [](const auto& each) { return each.expired(); });
  for (const auto& each : watchers_) {
    const auto states = each.lock();
    for (const World& world : worlds) {
      states->insert(world.state);
    }
    if (states->size() > kMostSources) is_lost_ = true;
  }
  for (auto& [id, pending] : pending_) {
    EngineCall& call = pending.call;
    if (call.kind != EngineCallKind::kForward || pending.has_ended) continue;
    for (const World& world : worlds) {
      const LayerState& layer = world.state.layers[call.layer];
      if (layer.uid != 0)
        call.seen.insert({layer.uid, layer.config, layer.logit, layer.mode, layer.parameters});
    }
  }
}

// A change that had no answer and cannot change anything any more is as good as done.
SessionModel::World SessionModel::Normal(World world) const {
  for (const auto& [id, pending] : pending_) {
    if (!pending.has_ended || world.Has(id)) continue;
    const EngineCall& call = pending.call;
    const bool makes = call.kind == EngineCallKind::kCreate || call.kind == EngineCallKind::kFork ||
                       call.kind == EngineCallKind::kImport;
    if (makes || world.state.is_there()) continue;
    // Of a session that is not there, unless one that another call may yet make.
    const bool is_awaited = std::any_of(pending_.begin(), pending_.end(), [&](const auto& each) {
      const EngineCallKind kind = each.second.call.kind;
      return (kind == EngineCallKind::kCreate || kind == EngineCallKind::kFork ||
              kind == EngineCallKind::kImport) &&
             !world.Has(each.first);
    });
    if (!is_awaited) world.Set(id, nullptr);
  }
  return world;
}

std::string SessionModel::Print() const {
  std::string text = absl::StrCat(worlds_.size(), " worlds\n");
  std::size_t count = 0;
  for (const World& world : worlds_) {
    if (++count > 8) break;
    absl::StrAppend(&text, "    ", world.state.Print(), "; done:");
    for (const auto& [id, expected] : world.done) absl::StrAppend(&text, " ", id);
    text += "\n";
  }
  for (const auto& [id, pending] : pending_) {
    absl::StrAppend(&text, "    under way ", id, pending.has_ended ? " (unknown): " : ": ",
                    pending.call.Print(), "\n");
  }
  return text;
}

}  // namespace dropoutd
