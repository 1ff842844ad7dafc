#include "tests/simulation/key_model.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMostWorlds = 3'000;

// Orders what came of calls; the same call on both sides.
bool IsBefore(const KeyOutcome* a, const KeyOutcome* b) {
  if (a == nullptr || b == nullptr) return a == nullptr && b != nullptr;
  if (a->observed != b->observed) return a->observed < b->observed;
  const StoreResult& x = a->answer.result;
  const StoreResult& y = b->answer.result;
  return std::tie(x.outcome, x.token, x.exists, x.found, x.count, a->answer.erased) <
         std::tie(y.outcome, y.token, y.exists, y.found, y.count, b->answer.erased);
}

}  // namespace

bool KeyModel::World::operator<(const World& other) const {
  if (state != other.state) return state < other.state;
  if (done.size() != other.done.size()) return done.size() < other.done.size();
  auto y = other.done.begin();
  for (auto x = done.begin(); x != done.end(); ++x, ++y) {
    if (x->first != y->first) return x->first < y->first;
    if (IsBefore(x->second.get(), y->second.get())) return true;
    if (IsBefore(y->second.get(), x->second.get())) return false;
  }
  return false;
}

KeyModel::CallId KeyModel::Begin(KeyCall call) {
  pending_[next_].call = std::move(call);
  return next_++;
}

bool KeyModel::Matches(const Pending& pending, const KeyOutcome& outcome, const KeyAnswer& answer,
                       std::int64_t latest_clock) const {
  if (pending.call.kind == KeyCall::Kind::kRead) {
    return ReadAgrees(outcome.observed, answer, latest_clock);
  }
  return Agrees(pending.call, outcome.answer, answer);
}

// The worlds that are one effect further.
void KeyModel::Extend(const World& world, CallId target, std::int64_t latest_clock,
                      std::vector<World>& found) const {
  for (const auto& [id, pending] : pending_) {
    const bool is_done = world.done.count(id) != 0;
    // The target has its effect where its answer is looked at; before that, one without an answer.
    const bool is_target = id == target;
    if (pending.is_pinned || (is_target && !pending.may_repeat())) continue;
    if (is_done && !(pending.may_repeat() && !pending.is_unknown)) continue;
    for (KeyOutcome& outcome : Outcomes(world.state, pending.call, latest_clock)) {
      const bool changes = outcome.state != world.state;
      // Once more, or without an answer.
      if (changes && (pending.is_unknown || pending.may_repeat())) {
        World next{outcome.state, world.done};
        if (!pending.may_repeat()) next.done[id] = nullptr;
        found.push_back(std::move(next));
      }
      if (pending.is_unknown || is_done || is_target) continue;
      World next{outcome.state, world.done};
      // The world has the state.
      outcome.state = KeyState();
      outcome.has_changed = changes;
      next.done[id] = std::make_shared<const KeyOutcome>(std::move(outcome));
      found.push_back(std::move(next));
    }
  }
}

KeyModel::Worlds KeyModel::Reachable(const Worlds& from, CallId target, std::int64_t latest_clock) {
  Worlds reached = from;
  std::vector<World> edge(from.begin(), from.end());
  while (!edge.empty()) {
    const World world = std::move(edge.back());
    edge.pop_back();
    if (world.done.count(target) != 0) continue;
    std::vector<World> next;
    Extend(world, target, latest_clock, next);
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
KeyModel::Worlds KeyModel::Explain(const Worlds& worlds, CallId call, const KeyAnswer& answer,
                                   std::int64_t latest_clock) {
  const Pending& pending = pending_.at(call);
  Worlds left;
  for (const World& world : Reachable(worlds, call, latest_clock)) {
    const auto done = world.done.find(call);
    if (done != world.done.end()) {
      if (!Matches(pending, *done->second, answer, latest_clock)) continue;
      World next = world;
      next.done.erase(call);
      left.insert(std::move(next));
      continue;
    }
    for (KeyOutcome& outcome : Outcomes(world.state, pending.call, latest_clock)) {
      if (!Matches(pending, outcome, answer, latest_clock)) continue;
      left.insert(World{std::move(outcome.state), world.done});
    }
  }
  return left;
}

bool KeyModel::End(CallId call, const KeyAnswer& answer, bool is_replicated,
                   std::int64_t latest_clock) {
  if (is_lost_) return true;
  const Pending pending = pending_.at(call);
  Worlds left = Explain(worlds_, call, answer, latest_clock);
  if (is_replicated) marked_ = Explain(marked_, call, answer, latest_clock);
  if (is_lost_) return true;
  if (left.empty() || marked_.empty()) return false;
  worlds_ = std::move(left);
  if (pending.may_repeat()) {
    pending_[call].is_unknown = true;
  } else {
    pending_.erase(call);
  }
  const bool may_be_lost = !is_replicated || pending.may_repeat();
  if (pending.call.kind != KeyCall::Kind::kRead && may_be_lost) ended_[call] = pending.call;
  Normalize();
  return true;
}

void KeyModel::EndUnknown(CallId call) {
  Pending& pending = pending_.at(call);
  if (pending.call.kind == KeyCall::Kind::kRead) return Drop(call);
  pending.is_unknown = true;
  ended_[call] = pending.call;
  Worlds worlds;
  for (World world : worlds_) {
    NoLongerAsk(call, world);
    worlds.insert(std::move(world));
  }
  worlds_ = std::move(worlds);
  Normalize();
}

// One that has changed nothing may yet do so.
void KeyModel::NoLongerAsk(CallId call, World& world) {
  const auto done = world.done.find(call);
  if (done == world.done.end() || done->second == nullptr) return;
  if (done->second->has_changed) {
    done->second = nullptr;
  } else {
    world.done.erase(done);
  }
}

void KeyModel::Forget(CallId call, std::int64_t latest_clock) {
  if (pending_.count(call) == 0) return;
  // It has had its effect by now, or never will; so it is of what was marked.
  for (Worlds* const worlds : {&worlds_, &marked_}) {
    if (!is_lost_) *worlds = Reachable(*worlds, 0, latest_clock);
  }
  Drop(call);
}

void KeyModel::Drop(CallId call) {
  pending_.erase(call);
  Worlds worlds;
  for (World world : worlds_) {
    world.done.erase(call);
    worlds.insert(std::move(world));
  }
  worlds_ = std::move(worlds);
}

void KeyModel::Pin(CallId call, std::int64_t latest_clock) {
  if (is_lost_) return;
  Worlds left;
  for (const World& world : Reachable(worlds_, call, latest_clock)) {
    if (world.done.count(call) != 0) {
      left.insert(world);
      continue;
    }
    for (KeyOutcome& outcome : Outcomes(world.state, pending_.at(call).call, latest_clock)) {
      World next{outcome.state, world.done};
      next.done[call] = std::make_shared<const KeyOutcome>(std::move(outcome));
      left.insert(std::move(next));
    }
  }
  pending_.at(call).is_pinned = true;
  worlds_ = std::move(left);
}

void KeyModel::Renew(Token incarnation, std::int64_t ends_at) {
  Worlds worlds;
  for (World world : worlds_) {
    if (world.state.is_there && world.state.incarnation == incarnation) {
      world.state.ends_at = std::max(world.state.ends_at, ends_at);
    }
    worlds.insert(std::move(world));
  }
  worlds_ = std::move(worlds);
}

void KeyModel::Mark() {
  marked_ = worlds_;
  ended_.clear();
}

std::vector<KeyModel::CallId> KeyModel::Restore() {
  std::vector<CallId> again;
  for (const auto& [id, call] : ended_) {
    pending_[id] = {.call = call, .is_unknown = true};
    again.push_back(id);
  }
  for (auto& [id, pending] : pending_) {
    pending.is_unknown = pending.is_void = true;
    pending.is_pinned = false;
  }
  worlds_.clear();
  for (World world : marked_) {
    std::erase_if(world.done, [this](const auto& each) { return pending_.count(each.first) == 0; });
    for (const auto& [id, pending] : pending_) NoLongerAsk(id, world);
    worlds_.insert(std::move(world));
  }
  Normalize();
  return again;
}

bool KeyModel::IsVoid(CallId call) const { return pending_.at(call).is_void; }

std::size_t KeyModel::unknown() const {
  return static_cast<std::size_t>(std::count_if(
      pending_.begin(), pending_.end(), [](const auto& each) { return each.second.is_unknown; }));
}

// Whether another call that is under way would make what this one expects.
bool KeyModel::IsAwaited(const KeyCall& call) const {
  const std::optional<Token> expected =
      call.kind == KeyCall::Kind::kCommit ? call.change.expected : call.expected;
  const Token incarnation =
      call.kind == KeyCall::Kind::kCommit ? call.change.incarnation : call.incarnation;
  return std::any_of(pending_.begin(), pending_.end(), [&](const auto& each) {
    const KeyCall& other = each.second.call;
    if (&other == &call) return false;
    const bool makes = other.change.makes && other.change.incarnation == incarnation;
    const Token token = other.kind == KeyCall::Kind::kRemove ? other.token : other.change.token;
    return makes || (expected && *expected && token == *expected);
  });
}

// A call that can do nothing any more is as good as done.
KeyModel::World KeyModel::Normal(World world) const {
  for (const auto& [id, pending] : pending_) {
    if (pending.is_unknown && world.done.count(id) == 0 && IsDead(world.state, pending.call) &&
        !IsAwaited(pending.call)) {
      world.done[id] = nullptr;
    }
  }
  return world;
}

void KeyModel::Normalize() {
  Worlds worlds;
  for (const World& world : worlds_) worlds.insert(Normal(world));
  worlds_ = std::move(worlds);
}

std::string KeyModel::Print() const {
  std::string text = absl::StrCat(worlds_.size(), " worlds\n");
  std::size_t count = 0;
  for (const World& world : worlds_) {
    if (++count > 8) break;
    absl::StrAppend(&text, "    ", world.state.Print(), "; done:");
    for (const auto& [id, explained] : world.done) absl::StrAppend(&text, " ", id);
    text += "\n";
  }
  for (const auto& [id, pending] : pending_) {
    absl::StrAppend(&text, "    under way ", id, pending.is_unknown ? " (unknown): " : ": ",
                    pending.call.Print(), "\n");
  }
  return text;
}

}  // namespace dropoutd
