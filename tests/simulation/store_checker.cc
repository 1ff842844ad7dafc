#include "tests/simulation/store_checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dropoutd {
namespace {

constexpr std::size_t kEventsShown = 60;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

StoreChecker::StoreChecker(Scheduler& scheduler, Clock clock, std::chrono::nanoseconds patience,
                           bool may_step_back)
    : scheduler_(scheduler),
      clock_(std::move(clock)),
      patience_(patience),
      may_step_back_(may_step_back) {}

KeyModel& StoreChecker::ModelOf(std::string_view key) {
  const auto found = models_.find(key);
  return found != models_.end() ? found->second : models_[std::string(key)];
}

StoreChecker::Call StoreChecker::Begin(std::size_t client, std::string_view key, KeyCall call) {
  Call made{std::string(key), 0, clock_.now(), client};
  call.clock = made.clock;
  call.may_step_back = may_step_back_;
  std::string text = call.Print();
  made.id = ModelOf(key).Begin(std::move(call));
  Note(key, absl::StrCat(client, " calls ", made.id, ": ", text));
  ++calls_;
  return made;
}

void StoreChecker::End(const Call& call, const KeyAnswer& answer) {
  KeyModel& model = ModelOf(call.key);
  if (model.IsVoid(call.id)) return EndUnknown(call, "the store has lost what it was");
  Note(call.key, absl::StrCat(call.client, " has ", call.id, ": ", answer.Print()));
  clock_.now();
  const bool is_replicated =
      replicates_ && !answer.is_there && answer.result.outcome == StoreOutcome::kDone;
  const bool is_right = model.End(call.id, answer, is_replicated, clock_.latest());
  if (!is_right) Fail(call.key, absl::StrCat("no world explains the answer to ", call.id));
  ForgetLater(call.key, call.id);
}

void StoreChecker::EndUnknown(const Call& call, std::string_view why) {
  Note(call.key, absl::StrCat(call.client, " has no ", call.id, ": ", View(why)));
  ModelOf(call.key).EndUnknown(call.id);
  ForgetLater(call.key, call.id);
}

void StoreChecker::Pin(const Call& call) {
  KeyModel& model = ModelOf(call.key);
  Note(call.key, absl::StrCat(call.client, " has the moment of ", call.id));
  clock_.now();
  if (!model.IsVoid(call.id)) model.Pin(call.id, clock_.latest());
}

void StoreChecker::Renew(const Call& call, Token incarnation, std::chrono::nanoseconds ttl) {
  const auto length = std::chrono::duration_cast<std::chrono::microseconds>(ttl).count();
  ModelOf(call.key).Renew(incarnation, std::min(call.clock, clock_.now()) + length);
}

void StoreChecker::ForgetLater(std::string_view key, KeyModel::CallId id) {
  scheduler_.At(scheduler_.now() + patience_, [this, id, name = std::string(key)] {
    clock_.now();
    ModelOf(name).Forget(id, clock_.latest());
  });
}

void StoreChecker::Mark() {
  for (auto& [key, model] : models_) model.Mark();
}

void StoreChecker::Restore() {
  Note("", "the store has lost its last changes");
  for (auto& [key, model] : models_) {
    for (const KeyModel::CallId id : model.Restore()) ForgetLater(key, id);
  }
}

void StoreChecker::Fail(std::string_view key, std::string_view what) {
  if (has_failed()) return;
  violation_ = absl::StrCat(View(what), "\n  of ", View(key), ", which may be in ",
                            ModelOf(key).Print(), history_.Print(key, kEventsShown));
}

void StoreChecker::Note(std::string_view key, std::string text) {
  history_.Add(scheduler_.now(), key, std::move(text));
}

std::size_t StoreChecker::lost_keys() const {
  return static_cast<std::size_t>(std::count_if(
      models_.begin(), models_.end(), [](const auto& each) { return each.second.is_lost(); }));
}

}  // namespace dropoutd
