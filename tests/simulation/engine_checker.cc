#include "tests/simulation/engine_checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

constexpr std::size_t kEventsPrinted = 80;
constexpr std::size_t kParameterBytes = 8;
constexpr std::chrono::minutes kShortLife{10};
constexpr std::chrono::seconds kLongestCall{10};

absl::string_view TextOf(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

EngineChecker::EngineChecker(Scheduler& scheduler, const SimRules& rules, const Limits& limits,
                             Time patience)
    : scheduler_(scheduler), rules_(rules), limits_(limits), patience_(patience) {}

EngineChecker::Key& EngineChecker::KeyOf(std::string_view key) {
  const auto found = keys_.find(key);
  if (found != keys_.end()) return found->second;
  const auto may_end = [this](SessionModel::CallId maker) { return MayEnd(maker); };
  return keys_.emplace(std::string(key), Key{SessionModel(rules_, masks_, may_end), Time(0), {}})
      .first->second;
}

bool EngineChecker::MayEnd(SessionModel::CallId maker) const {
  const auto found = lives_.find(maker);
  if (found == lives_.end()) return false;
  const Life& life = found->second;
  // The store hears of renewals once in an eighth of the ttl, and its clock may step meanwhile.
  const Time heard = life.renewed - life.ttl / 8 - kLongestCall;
  return life.is_short || scheduler_.now() - life.renewed + AheadSince(heard) >= life.ttl;
}

EngineChecker::Time EngineChecker::AheadSince(Time time) const {
  Time ahead{0};
  for (const auto& [when, step] : steps_ahead_) ahead += when >= time ? step : Time(0);
  return ahead;
}

EngineChecker::Time EngineChecker::LeastTtl(const EngineCall& call) const {
  if (call.created.has_value()) return call.created->ttl.value_or(limits_.default_ttl);
  if (call.ttl.has_value()) return *call.ttl;
  Time least = limits_.default_ttl;
  for (const SessionState& source : *call.sources) {
    const auto found = lives_.find(source.made_by);
    if (found != lives_.end()) least = std::min(least, found->second.ttl);
  }
  return least;
}

std::uint32_t EngineChecker::AddSpec(SimSpec spec) {
  specs_.push_back(std::move(spec));
  return static_cast<std::uint32_t>(specs_.size() - 1);
}

std::uint32_t EngineChecker::SpecWithSeed(std::uint64_t seed) const {
  for (std::uint32_t i = 1; i < specs_.size(); ++i) {
    if (specs_[i].seed == seed) return i;
  }
  return 0;
}

std::shared_ptr<const std::set<SessionState>> EngineChecker::Watch(std::string_view key) {
  auto states = std::make_shared<std::set<SessionState>>();
  ModelOf(key).Watch(states);
  return states;
}

EngineChecker::Call EngineChecker::Begin(std::size_t client, std::string_view key,
                                         EngineCall call) {
  Key& of = KeyOf(key);
  if (of.model.MayBeThere()) of.last_there = scheduler_.now();
  call.id = next_++;
  Call made{std::string(key), call.id, scheduler_.now(), client, call};
  if (call.kind == EngineCallKind::kCreate || call.sources != nullptr) {
    lives_[call.id] = {LeastTtl(call), made.begin, false};
  }
  of.model.Begin(call);
  Note(key, absl::StrCat(client, " calls ", call.id, ": ", call.Print()));
  ++calls_;
  return made;
}

void EngineChecker::AddFork(const Call& fork, std::string_view source) {
  KeyOf(fork.key).forks[fork.id] = source;
}

// The key of a call that ends, with what its forks may have found by now.
EngineChecker::Key& EngineChecker::Look(const Call& call) {
  Key& of = KeyOf(call.key);
  if (of.model.MayBeThere()) of.last_there = scheduler_.now();
  for (const auto& [id, source] : of.forks) {
    SessionModel& model = ModelOf(source);
    model.Refresh();
    if (model.is_lost()) of.model.Lose();
  }
  of.forks.erase(call.id);
  return of;
}

void EngineChecker::End(const Call& call, const EngineAnswer& answer) {
  Key& of = Look(call);
  if (of.model.IsVoid(call.id)) return EndUnknown(call, "the store has lost what it was");
  Note(call.key, absl::StrCat(call.client, " has ", call.id, ": ", answer.Print()));
  CheckQuota(call, answer);
  if (call.call.sources != nullptr) lives_[call.id].ttl = LeastTtl(call.call);
  if (!of.model.End(call.id, answer, replicates_ && answer.error == 0)) {
    Fail(call.key, absl::StrCat("no world explains the answer to ", call.id));
  }
  if (answer.error == 0) Renew(call);
}

void EngineChecker::EndUnknown(const Call& call, std::string_view why) {
  Key& of = Look(call);
  Note(call.key, absl::StrCat(call.client, " has no ", call.id, ": ", TextOf(why)));
  of.model.EndUnknown(call.id);
  ForgetLater(call.key, call.id);
}

// Whoever was answered by a session has renewed it.
void EngineChecker::Renew(const Call& call) {
  if (call.call.kind == EngineCallKind::kList || call.call.kind == EngineCallKind::kDelete) return;
  const auto makers = ModelOf(call.key).Makers();
  if (makers.size() != 1) return;
  Life& life = lives_[*makers.begin()];
  life.renewed = std::max(life.renewed, call.begin);
}

// --- Quotas ---------------------------------------------------------------------------------

// How many there may have been at once during the call, without its own.
std::size_t EngineChecker::CountSessions(const Call& call, std::string_view tenant) const {
  return static_cast<std::size_t>(std::count_if(keys_.begin(), keys_.end(), [&](const auto& each) {
    return each.first != call.key && (tenant.empty() || TenantOf(each.first) == tenant) &&
           (each.second.model.MayBeThere() || each.second.last_there >= call.begin);
  }));
}

std::size_t EngineChecker::CountParameters(std::string_view tenant) const {
  std::size_t count = 0;
  for (const auto& [key, of] : keys_) {
    if (tenant.empty() || TenantOf(key) == tenant) count += of.model.MostParameters();
  }
  return count;
}

void EngineChecker::CheckQuota(const Call& call, const EngineAnswer& answer) {
  const std::string_view tenant = TenantOf(call.key);
  if (answer.error == ErrorOf(Reason::kQuotaSessions) &&
      CountSessions(call, tenant) < limits_.tenant_max_sessions &&
      CountSessions(call, "") < limits_.max_sessions) {
    Fail(call.key, "a session that fits was refused");
  }
  if (answer.error == ErrorOf(Reason::kQuotaParameterBytes) &&
      (CountParameters(tenant) + 1) * kParameterBytes <= limits_.tenant_max_parameter_bytes &&
      (CountParameters("") + 1) * kParameterBytes <= limits_.max_parameter_bytes) {
    Fail(call.key, "parameters that fit were refused");
  }
}

// --- What happens to all --------------------------------------------------------------------

void EngineChecker::ForgetLater(std::string_view key, SessionModel::CallId id) {
  scheduler_.At(scheduler_.now() + patience_,
                [this, id, name = std::string(key)] { ModelOf(name).Forget(id); });
}

void EngineChecker::Mark() {
  for (auto& [key, of] : keys_) of.model.Mark();
}

void EngineChecker::Restore() {
  Note("", "the store has lost its last changes");
  for (auto& [key, of] : keys_) {
    if (of.model.MayBeThere()) of.last_there = scheduler_.now();
    for (const SessionModel::CallId id : of.model.Restore()) ForgetLater(key, id);
  }
  for (auto& [maker, life] : lives_) life.is_short = life.is_short || life.ttl < kShortLife;
}

void EngineChecker::Vanish() {
  for (auto& [key, of] : keys_) of.model.Vanish();
}

void EngineChecker::StepAhead(Time step) { steps_ahead_.emplace_back(scheduler_.now(), step); }

void EngineChecker::Fail(std::string_view key, std::string_view what) {
  if (has_failed()) return;
  violation_ = absl::StrCat(TextOf(what), "\n  of ", TextOf(key), ", which may be in ",
                            ModelOf(key).Print(), history_.Print(key, kEventsPrinted));
}

void EngineChecker::Note(std::string_view key, std::string text) {
  history_.Add(scheduler_.now(), key, std::move(text));
}

std::size_t EngineChecker::lost_keys() const {
  return static_cast<std::size_t>(std::count_if(
      keys_.begin(), keys_.end(), [](const auto& each) { return each.second.model.is_lost(); }));
}

}  // namespace dropoutd
