#include "tests/simulation/key_state.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/store/store_rules.h"

namespace dropoutd {
namespace {

constexpr std::int64_t kTombstoneMicroseconds = 30'000'000;
constexpr std::int64_t kLongestStepBack = 20'000'000;
constexpr std::size_t kHexDigits = 2 * Token::kBytes;

std::string Hex(Token token) { return absl::BytesToHexString(token.Bytes()); }
std::string Short(Token token) { return token ? Hex(token).substr(0, 6) : "none"; }

// The earliest that the store's clock may show where the call takes effect.
std::int64_t EarliestClock(const KeyCall& call) {
  return call.clock - (call.may_step_back ? kLongestStepBack : 0);
}

std::int64_t Microseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

bool IsErased(const StoreChange& change, std::string_view name) {
  return std::any_of(change.erases.begin(), change.erases.end(),
                     [name](const FieldRange& range) { return IsIn(name, range); });
}

KeyAnswer Answer(StoreResult result) {
  KeyAnswer answer;
  answer.result = std::move(result);
  return answer;
}

// The states that this one may be by itself: a session that has ended, a removal or tombstones of
// `names` that are forgotten.
std::vector<KeyState> Fadings(const KeyState& state, const std::vector<std::string>& names,
                              std::int64_t latest) {
  std::vector<KeyState> all = {state};
  if (state.is_there && latest >= state.ends_at) {
    // As if it had been removed by its last change.
    KeyState ended;
    ended.token = state.token;
    ended.fades_at = state.ends_at + kTombstoneMicroseconds;
    all.push_back(ended);
    if (latest >= ended.fades_at) all.emplace_back();
    return all;
  }
  if (!state.is_there && state.token && latest >= state.fades_at) return {state, KeyState()};
  for (const std::string& name : names) {
    const auto field = state.fields.find(name);
    if (field == state.fields.end() || field->second.is_there || latest < field->second.fades_at) {
      continue;
    }
    const std::size_t count = all.size();
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back(all[i]);
      all.back().fields.erase(name);
    }
  }
  // A session that could have ended may be there all the same, without old tombstones.
  if (state.is_there && latest >= state.ends_at) all.push_back(KeyState());
  return all;
}

Token TokenOf(const KeyState& state, const std::string& name) {
  const auto found = state.fields.find(name);
  return found == state.fields.end() ? Token() : found->second.token;
}

std::uint64_t CountIn(const KeyState& state, const FieldRange& range) {
  return static_cast<std::uint64_t>(std::count_if(
      state.fields.begin(), state.fields.end(),
      [&](const auto& each) { return each.second.is_there && IsIn(each.first, range); }));
}

std::uint64_t Erase(const StoreChange& change, KeyState& state) {
  return std::erase_if(state.fields, [&](const auto& each) {
    return each.second.is_there && IsErased(change, each.first);
  });
}

// What the change makes of a session that has its token and the fields that it replaces.
KeyOutcome Write(const KeyState& before, const KeyCall& call) {
  const StoreChange& change = call.change;
  KeyState state = before;
  const std::uint64_t erased = Erase(change, state);
  if (erased > change.most_erased) {
    return {before, {}, Answer(Refused(StoreOutcome::kTooMany, erased))};
  }
  bool adds = change.makes.has_value();
  for (const FieldWrite& write : change.writes) {
    const auto old = before.fields.find(write.name);
    const bool was_there = old != before.fields.end() && old->second.is_there;
    if (write.value && change.limit && IsIn(write.name, change.limit->range)) {
      adds = adds || !was_there;
    }
    state.fields[write.name] = {change.token, write.value.has_value(),
                                write.value ? 0 : EarliestClock(call) + kTombstoneMicroseconds};
  }
  if (change.limit && adds && CountIn(state, change.limit->range) > change.limit->most) {
    const std::uint64_t count =
        change.makes ? call.staged.size() : CountIn(before, change.limit->range);
    return {before, {}, Answer(Refused(StoreOutcome::kFull, count))};
  }
  for (const StorePart& part : change.parts) {
    if (part.value) {
      state.parts[part.name] = change.token;
    } else {
      state.parts.erase(part.name);
    }
  }
  if (Renames(change)) state.token = change.token;
  if (change.makes) state.ends_at = EarliestClock(call) + Microseconds(change.ttl.value());
  const StoreResult done = Done(state.token, erased);
  return {std::move(state), {}, Answer(done)};
}

KeyOutcome Commit(const KeyState& state, const KeyCall& call) {
  const StoreChange& change = call.change;
  if (change.makes) {
    const bool expects = change.expected.value_or(state.token) == state.token;
    if (state.is_there || !expects)
      return {state, {}, Answer(Conflict(state.token, state.is_there))};
    KeyState made;
    made.is_there = true;
    made.incarnation = change.incarnation;
    for (const auto& [name, token] : call.staged) made.fields[name] = {token, true, 0};
    KeyOutcome outcome = Write(made, call);
    if (outcome.answer.result.outcome != StoreOutcome::kDone) outcome.state = state;
    return outcome;
  }
  if (!state.is_there || state.incarnation != change.incarnation) {
    return {state, {}, Answer(Refused(StoreOutcome::kAbsent))};
  }
  if (change.expected.value_or(state.token) != state.token) {
    return {state, {}, Answer(Conflict(state.token, true))};
  }
  StoreResult occupied = Refused(StoreOutcome::kOccupied);
  bool is_free = true;
  for (const FieldWrite& write : change.writes) {
    occupied.found.push_back(TokenOf(state, write.name));
    is_free = is_free && occupied.found.back() == write.replaces;
  }
  if (!is_free) return {state, {}, Answer(occupied)};
  return Write(state, call);
}

KeyOutcome Remove(const KeyState& state, const KeyCall& call) {
  if (!state.is_there || state.incarnation != call.incarnation) {
    return {state, {}, Answer(Refused(StoreOutcome::kAbsent))};
  }
  KeyState removed;
  removed.token = call.token;
  removed.fades_at = EarliestClock(call) + kTombstoneMicroseconds;
  return {std::move(removed), {}, Answer(Done(call.token))};
}

KeyOutcome EraseSome(const KeyState& state, const KeyCall& call) {
  KeyOutcome outcome{state, {}, {}};
  if (!state.is_there || state.incarnation != call.incarnation ||
      call.expected.value_or(state.token) != state.token) {
    return outcome;
  }
  const std::uint64_t count = CountIn(state, call.range);
  std::uint64_t left =
      std::min<std::uint64_t>(count - std::min<std::uint64_t>(count, call.keep), call.most);
  outcome.answer.erased = left;
  std::erase_if(outcome.state.fields, [&](const auto& each) {
    if (left == 0 || !each.second.is_there || !IsIn(each.first, call.range)) return false;
    --left;
    return true;
  });
  return outcome;
}

KeyOutcome OutcomeOf(const KeyState& state, const KeyCall& call) {
  switch (call.kind) {
    case KeyCall::Kind::kCommit:
      return Commit(state, call);
    case KeyCall::Kind::kRemove:
      return Remove(state, call);
    case KeyCall::Kind::kErase:
      return EraseSome(state, call);
    case KeyCall::Kind::kRead:
      break;
  }
  return {state, state, {}};
}

std::vector<std::string> NamesOf(const StoreChange& change) {
  std::vector<std::string> names;
  for (const FieldWrite& write : change.writes) names.push_back(write.name);
  return names;
}

bool FieldAgrees(const KeyState& state, const std::string& name, const KeyState::Field& found,
                 std::int64_t latest) {
  const auto field = state.fields.find(name);
  if (field == state.fields.end()) return !found.token && !found.is_there;
  if (field->second.is_there != found.is_there) return false;
  if (field->second.token == found.token) return true;
  return !found.token && !found.is_there && latest >= field->second.fades_at;
}

std::map<std::string, Token> FieldsThere(const KeyState& state) {
  std::map<std::string, Token> fields;
  for (const auto& [name, field] : state.fields) {
    if (field.is_there) fields[name] = field.token;
  }
  return fields;
}

}  // namespace

std::string ValueOf(Token token, std::string_view name) {
  std::string value = Hex(token).append(name);
  if (token.low % 8 == 0) value.append(1000, '.');
  return value;
}

std::optional<Token> WriterOf(std::string_view value, std::string_view name) {
  const auto token = Token::FromBytes(
      absl::HexStringToBytes(absl::string_view(value.data(), std::min(value.size(), kHexDigits))));
  if (!token || ValueOf(*token, name) != value) return std::nullopt;
  return token;
}

std::vector<KeyOutcome> Outcomes(const KeyState& state, const KeyCall& call,
                                 std::int64_t latest_clock) {
  std::vector<KeyOutcome> outcomes;
  const std::vector<std::string> names =
      call.kind == KeyCall::Kind::kCommit ? NamesOf(call.change) : std::vector<std::string>();
  for (const KeyState& each : Fadings(state, names, latest_clock)) {
    outcomes.push_back(OutcomeOf(each, call));
    // What it only found to have faded is not gone for good; but a session that has ended is.
    KeyOutcome& outcome = outcomes.back();
    const bool has_ended = state.is_there && !each.is_there;
    const bool may_return = !has_ended || call.is_glance || call.kind == KeyCall::Kind::kErase;
    if (call.may_step_back && may_return && outcome.state == each) outcome.state = state;
    // What was staged may be gone, after a minute or with what the store has lost.
    if (!call.staged.empty() && outcome.answer.result.outcome == StoreOutcome::kDone) {
      outcomes.push_back({state, {}, Answer(Refused(StoreOutcome::kStagedLost))});
    }
  }
  return outcomes;
}

bool Agrees(const KeyCall& call, const KeyAnswer& expected, const KeyAnswer& found) {
  if (call.kind == KeyCall::Kind::kErase) return expected.erased == found.erased;
  const StoreResult& a = expected.result;
  const StoreResult& b = found.result;
  const bool is_full =
      b.outcome == StoreOutcome::kTenantFull || b.outcome == StoreOutcome::kFullOfSessions;
  if (is_full) return call.change.makes && a.outcome == StoreOutcome::kDone;
  if (a.outcome != b.outcome) return false;
  switch (b.outcome) {
    case StoreOutcome::kDone:
      return a.count == b.count && (call.kind != KeyCall::Kind::kRemove || a.token == b.token);
    case StoreOutcome::kConflict:
      return a.token == b.token && a.exists == b.exists;
    case StoreOutcome::kOccupied:
      return a.found == b.found;
    case StoreOutcome::kTooMany:
    case StoreOutcome::kFull:
      return a.count == b.count;
    default:
      return true;
  }
}

bool ReadAgrees(const KeyState& state, const KeyAnswer& found, std::int64_t latest_clock) {
  if (found.is_there && *found.is_there != state.is_there) return false;
  if (!state.is_there) return true;
  if (found.incarnation && *found.incarnation != state.incarnation) return false;
  if (found.token && *found.token != state.token) return false;
  if (found.parts && *found.parts != state.parts) return false;
  if (found.all_fields && *found.all_fields != FieldsThere(state)) return false;
  return std::all_of(found.fields.begin(), found.fields.end(), [&](const auto& each) {
    return FieldAgrees(state, each.first, each.second, latest_clock);
  });
}

bool IsDead(const KeyState& state, const KeyCall& call) {
  if (call.kind == KeyCall::Kind::kRead) return true;
  if (call.kind == KeyCall::Kind::kRemove || call.kind == KeyCall::Kind::kErase) {
    if (!state.is_there || state.incarnation != call.incarnation) return true;
    return call.expected && *call.expected != state.token;
  }
  const StoreChange& change = call.change;
  const bool expects_other = change.expected && *change.expected != state.token;
  if (change.makes) {
    // One that expects none may find that once more.
    return change.expected && *change.expected && (state.is_there || expects_other);
  }
  return !state.is_there || state.incarnation != change.incarnation || expects_other;
}

std::string KeyState::Print() const {
  if (!is_there) return absl::StrCat("absent, removed by ", Short(token));
  std::string text = absl::StrCat("session ", Short(incarnation), " token ", Short(token));
  for (const auto& [name, token_of] : parts)
    absl::StrAppend(&text, " ", name, "=", Short(token_of));
  for (const auto& [name, field] : fields) {
    absl::StrAppend(&text, " ", name, field.is_there ? "=" : "~", Short(field.token));
  }
  return text;
}

std::string KeyCall::Print() const {
  switch (kind) {
    case Kind::kRead:
      return "read";
    case Kind::kRemove:
      return absl::StrCat("remove ", Short(incarnation), " as ", Short(token));
    case Kind::kErase:
      return absl::StrCat("erase ", range.first, "..", range.last, " of ", Short(incarnation),
                          " keep ", keep, expected ? " expects " + Short(*expected) : "");
    case Kind::kCommit:
      break;
  }
  std::string text = absl::StrCat(change.makes ? "make " : "commit ", Short(change.token), " to ",
                                  Short(change.incarnation));
  if (change.expected) absl::StrAppend(&text, " expects ", Short(*change.expected));
  for (const StorePart& part : change.parts) {
    absl::StrAppend(&text, " ", part.value ? "+" : "-", part.name);
  }
  for (const FieldWrite& write : change.writes) {
    absl::StrAppend(&text, " ", write.value ? "+" : "-", write.name, "/", Short(write.replaces));
  }
  for (const FieldRange& erased : change.erases) {
    absl::StrAppend(&text, " erase ", erased.first, "..", erased.last);
  }
  if (!staged.empty()) absl::StrAppend(&text, " staged ", staged.size());
  return text;
}

std::string KeyAnswer::Print() const {
  constexpr const char* kNames[] = {"done",        "absent",           "conflict",
                                    "occupied",    "too many",         "full",
                                    "tenant full", "full of sessions", "staged lost"};
  if (is_there) {
    std::string text = *is_there ? "there" : "absent";
    if (incarnation) absl::StrAppend(&text, " ", Short(*incarnation));
    if (token) absl::StrAppend(&text, " token ", Short(*token));
    if (parts) {
      for (const auto& [name, by] : *parts) absl::StrAppend(&text, " ", name, "=", Short(by));
    }
    for (const auto& [name, field] : fields) {
      absl::StrAppend(&text, " ", name, field.is_there ? "=" : "~", Short(field.token));
    }
    if (all_fields) {
      absl::StrAppend(&text, " all:");
      for (const auto& [name, by] : *all_fields) absl::StrAppend(&text, " ", name, "=", Short(by));
    }
    return text;
  }
  std::string text = absl::StrCat(kNames[static_cast<int>(result.outcome)], " ",
                                  Short(result.token), " count ", result.count);
  if (result.outcome == StoreOutcome::kConflict && result.exists) text += " exists";
  for (const Token& each : result.found) absl::StrAppend(&text, " found ", Short(each));
  if (erased != 0) absl::StrAppend(&text, " erased ", erased);
  return text;
}

}  // namespace dropoutd
