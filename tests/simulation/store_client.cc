#include "tests/simulation/store_client.h"

#include <algorithm>
#include <memory>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"

namespace dropoutd {
namespace {

using std::chrono::seconds;

const FieldRange kErased{"f0", "f2"};

bool IsErased(std::string_view name) { return name >= kErased.first && name < kErased.last; }

std::string Text(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

}  // namespace

StoreWorkload StoreWorkload::Draw(RandomSource64& random) {
  StoreWorkload workload;
  workload.keys = 1 + random.Below(6);
  workload.fields = 2 + random.Below(6);
  workload.pause = std::chrono::milliseconds(1) * (std::uint64_t{1} << (4 + random.Below(8)));
  if (random.Chance(0.3)) workload.short_lived = random.Fraction();
  workload.stages = random.Fraction() * 0.8;
  workload.turnover = 0.02 + 0.3 * random.Fraction() * random.Fraction();
  workload.blind = random.Fraction() * 0.2;
  workload.limited = random.Fraction() * 0.4;
  return workload;
}

std::string StoreWorkload::Print() const {
  std::ostringstream text;
  text << " keys=" << keys << " fields=" << fields
       << " pause=" << std::chrono::duration<double>(pause).count()
       << " short_lived=" << short_lived << " stages=" << stages << " blind=" << blind
       << " limited=" << limited << " turnover=" << turnover;
  return std::move(text).str();
}

StoreClient::StoreClient(Scheduler& scheduler, StoreChecker& checker, const StoreWorkload& workload,
                         std::size_t number, Store& store)
    : scheduler_(scheduler),
      random_(scheduler.random()),
      checker_(checker),
      workload_(workload),
      number_(number),
      store_(store) {}

std::string StoreClient::KeyOf(std::size_t index) const {
  return absl::StrCat(index % 2 == 0 ? "a/" : "b/", index);
}

std::string StoreClient::RandomKey() { return KeyOf(random_.Below(workload_.keys)); }

std::string StoreClient::RandomField() {
  return absl::StrCat("f", random_.Below(workload_.fields));
}

Token StoreClient::Maybe(Token token) {
  if (!random_.Chance(workload_.blind)) return token;
  return random_.Chance(0.5) ? Token() : Token::Random();
}

FieldRange StoreClient::RandomRange() {
  std::string first = RandomField();
  std::string last = RandomField();
  if (last < first) std::swap(first, last);
  return {first, last + "~"};
}

std::chrono::nanoseconds StoreClient::Ttl() {
  if (random_.Chance(workload_.short_lived)) return seconds(2 + random_.Below(20));
  return seconds(3600);
}

void StoreClient::Step() {
  const std::string key = RandomKey();
  const Known& known = known_[key];
  const bool is_full = checker_.unknown(key) >= workload_.most_unknown;
  const std::uint64_t choice = random_.Below(100);
  if (is_full || choice < 25) return Read(key, random_.Chance(0.7));
  if (choice < 29) return ReadTokens();
  if (choice < 32) return List();
  if (choice < 36) return ReadAll(key);
  if (!known.is_there) return Make(key);
  if (random_.Chance(workload_.turnover)) return Remove(key);
  if (choice < 60) return Change(key, true);
  if (choice < 80) return Change(key, false);
  if (choice < 88) return Release(key);
  if (choice < 96) return Erase(key);
  if (choice < 98) return Make(key);
  if (const absl::Status status = store_.RemoveExpired(); !status.ok()) {
    checker_.Note("", absl::StrCat(number_, " removes no expired: ", Text(status)));
  }
}

// --- Changes --------------------------------------------------------------------------------

void StoreClient::AddParts(StoreChange& change) {
  const std::uint64_t count = 1 + random_.Below(2);
  const std::uint64_t first = random_.Below(workload_.parts);
  for (std::uint64_t i = 0; i < count; ++i) {
    StorePart part{absl::StrCat("p", (first + i) % workload_.parts), std::nullopt};
    if (random_.Chance(0.8)) part.value = ValueOf(change.token, part.name);
    change.parts.push_back(std::move(part));
  }
}

void StoreClient::AddWrites(const Known& known, StoreChange& change) {
  const std::uint64_t count = 1 + random_.Below(2);
  const std::uint64_t first = random_.Below(workload_.fields);
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(count, workload_.fields); ++i) {
    FieldWrite write;
    write.name = absl::StrCat("f", (first + i) % workload_.fields);
    if (known.parts.count(kErasing) != 0 && IsErased(write.name)) continue;
    const auto found = known.fields.find(write.name);
    write.replaces = Maybe(found == known.fields.end() ? Token() : found->second);
    if (change.makes) write.replaces = Token();
    // What never was cannot be removed.
    if (change.makes || !write.replaces || random_.Chance(0.75)) {
      write.value = ValueOf(change.token, write.name);
    }
    change.writes.push_back(std::move(write));
  }
  if (random_.Chance(workload_.limited)) {
    change.limit = FieldLimit{{"f", "g"}, random_.Below(workload_.fields + 1)};
  }
}

// Whether all of them are there.
bool StoreClient::Stage(const std::string& key, Token incarnation, KeyCall& call) {
  const std::uint64_t count = 1 + random_.Below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    // A slow one may find that what was staged before has gone.
    if (i > 0 && may_dawdle_ && random_.Chance(0.1)) {
      scheduler_.Sleep(random_.Between(std::chrono::nanoseconds(0), seconds(90)));
    }
    // Of its own name: what the session has is told by the token of the change that makes it.
    const std::string name = absl::StrCat("f", i);
    call.staged[name] = call.change.token;
    std::vector<StoreField> fields;
    fields.push_back({name, ValueOf(call.change.token, name), Token()});
    const absl::Status status = store_.Stage(key, incarnation, std::move(fields));
    checker_.Note(key, absl::StrCat(number_, " stages ", name, " ", Text(status)));
    if (!status.ok()) return false;
  }
  return true;
}

void StoreClient::Make(const std::string& key) {
  const Known& known = known_[key];
  KeyCall call;
  call.kind = KeyCall::Kind::kCommit;
  StoreChange& change = call.change;
  change.token = Token::Random();
  change.incarnation = Token::Random();
  change.expected = Maybe(known.removal);
  change.makes = SessionLimit{key.substr(0, 2), 1000, 1000};
  change.ttl = Ttl();
  AddParts(change);
  if (random_.Chance(workload_.stages)) {
    if (!Stage(key, change.incarnation, call)) return;
    change.staged = call.staged.size();
  } else if (random_.Chance(0.5)) {
    AddWrites(known, change);
  }
  CommitChecked(key, std::move(call));
}

void StoreClient::Change(const std::string& key, bool only_fields) {
  const Known& known = known_[key];
  KeyCall call;
  call.kind = KeyCall::Kind::kCommit;
  StoreChange& change = call.change;
  change.token = Token::Random();
  change.incarnation = known.incarnation;
  change.expected = Maybe(known.token);
  if (!only_fields) {
    AddParts(change);
    if (random_.Chance(0.3)) {
      change.erases.push_back(RandomRange());
      if (random_.Chance(0.2)) change.most_erased = random_.Below(3);
    }
  }
  if (only_fields || random_.Chance(0.3)) AddWrites(known, change);
  if (change.parts.empty() && change.writes.empty()) return;
  // What is erased is not written too.
  std::erase_if(change.erases, [&change](const FieldRange& range) {
    return std::any_of(change.writes.begin(), change.writes.end(), [&range](const auto& write) {
      return write.name >= range.first && write.name < range.last;
    });
  });
  if (random_.Chance(0.3)) change.ttl = Ttl();
  CommitChecked(key, std::move(call));
}

void StoreClient::Release(const std::string& key) {
  const Known& known = known_[key];
  const std::string name = RandomField();
  const auto found = known.fields.find(name);
  if (found == known.fields.end() || !found->second) return Read(key, false);
  KeyCall call;
  call.kind = KeyCall::Kind::kCommit;
  call.change.token = Token::Random();
  call.change.incarnation = known.incarnation;
  call.change.writes = {{name, std::nullopt, found->second}};
  CommitChecked(key, std::move(call));
}

absl::StatusOr<StoreResult> StoreClient::Commit(const std::string& key, StoreChange change) {
  if (random_.Chance(0.5)) return store_.Commit(key, std::move(change));
  const auto answer = std::make_shared<std::optional<absl::StatusOr<StoreResult>>>();
  store_.StartCommit(key, std::move(change),
                     [answer](absl::StatusOr<StoreResult> result) { *answer = std::move(result); });
  while (!*answer) scheduler_.Sleep(std::chrono::milliseconds(1));
  return **answer;
}

bool StoreClient::CommitChecked(const std::string& key, KeyCall call) {
  const StoreChange change = call.change;
  const StoreChecker::Call begun = checker_.Begin(number_, key, std::move(call));
  const auto result = Commit(key, change);
  if (!result.ok()) {
    IsLost(result.status(), begun);
    return false;
  }
  KeyAnswer answer;
  answer.result = *result;
  checker_.End(begun, answer);
  if (result->outcome == StoreOutcome::kDone && change.ttl) {
    checker_.Renew(begun, change.incarnation, *change.ttl);
  }
  Learn(key, change, *result);
  return result->outcome == StoreOutcome::kDone;
}

// What the parts were after the change, whatever came since.
void StoreClient::LearnParts(const StoreChange& change, Known& known) {
  if (!change.makes && change.parts.empty() && change.erases.empty()) return;
  if (!change.makes && change.expected != known.token) {
    known.token = Token();
    return;
  }
  for (const StorePart& part : change.parts) {
    if (part.value) {
      known.parts[part.name] = change.token;
    } else {
      known.parts.erase(part.name);
    }
  }
  known.token = change.token;
}

void StoreClient::Learn(const std::string& key, const StoreChange& change,
                        const StoreResult& result) {
  Known& known = known_[key];
  switch (result.outcome) {
    case StoreOutcome::kDone:
      if (change.makes) {
        // What was staged is found by the next read.
        known = Known{true, change.incarnation, change.token, known.removal, {}, {}};
      }
      if (known.incarnation != change.incarnation) break;
      LearnParts(change, known);
      for (const FieldWrite& write : change.writes) known.fields[write.name] = change.token;
      break;
    case StoreOutcome::kConflict:
      if (!result.exists) known.removal = result.token;
      known.is_there = false;
      if (!result.exists && !change.makes) known.is_there = false;
      if (result.exists) Read(key, true);
      break;
    case StoreOutcome::kAbsent:
      known.is_there = false;
      break;
    case StoreOutcome::kOccupied:
      for (std::size_t i = 0; i < change.writes.size() && i < result.found.size(); ++i) {
        known.fields[change.writes[i].name] = result.found[i];
      }
      break;
    default:
      break;
  }
}

void StoreClient::Remove(const std::string& key) {
  KeyCall call;
  call.kind = KeyCall::Kind::kRemove;
  const Token incarnation = call.incarnation = Maybe(known_[key].incarnation);
  const Token token = call.token = Token::Random();
  const StoreChecker::Call begun = checker_.Begin(number_, key, std::move(call));
  const auto result = store_.Remove(key, incarnation, token);
  if (!result.ok()) {
    IsLost(result.status(), begun);
    return;
  }
  KeyAnswer answer;
  answer.result = *result;
  checker_.End(begun, answer);
  known_[key].is_there = false;
  if (result->outcome == StoreOutcome::kDone) known_[key].removal = token;
}

bool StoreClient::SetErasing(const std::string& key, bool is_erasing) {
  KeyCall call;
  call.kind = KeyCall::Kind::kCommit;
  call.change.token = Token::Random();
  call.change.incarnation = known_[key].incarnation;
  call.change.expected = known_[key].token;
  StorePart part{kErasing, std::nullopt};
  if (is_erasing) part.value = ValueOf(call.change.token, kErasing);
  call.change.parts = {part};
  const Token token = call.change.token;
  return CommitChecked(key, std::move(call)) && known_[key].token == token;
}

// As the engine goes about it, or on where another has begun.
void StoreClient::Erase(const std::string& key) {
  if (!IsErasing(key) && !SetErasing(key, true)) return;
  KeyCall call;
  call.kind = KeyCall::Kind::kErase;
  call.incarnation = known_[key].incarnation;
  call.expected = known_[key].token;
  call.range = kErased;
  if (random_.Chance(0.2)) call.keep = random_.Below(2);
  call.most = 1000;
  const KeyCall asked = call;
  const StoreChecker::Call begun = checker_.Begin(number_, key, std::move(call));
  const auto erased = store_.EraseRange(key, asked.incarnation, asked.expected, asked.range,
                                        asked.keep, asked.most);
  if (!erased.ok()) {
    IsLost(erased.status(), begun);
    return;
  }
  KeyAnswer answer;
  answer.erased = *erased;
  checker_.End(begun, answer);
  if (random_.Chance(0.9)) SetErasing(key, false);
}

// --- Questions ------------------------------------------------------------------------------

bool StoreClient::IsLost(const absl::Status& status, const StoreChecker::Call& call) {
  if (ReasonOf(status) == Reason::kStoreUnavailable) {
    checker_.EndUnknown(call, Text(status));
    was_lost_ = true;
    return true;
  }
  KeyAnswer absent;
  absent.is_there = false;
  if (absl::IsNotFound(status) && !ReasonOf(status)) {
    checker_.End(call, absent);
    known_[call.key].is_there = false;
  } else {
    checker_.Fail(call.key, absl::StrCat("an error that may not be: ", Text(status)));
  }
  return false;
}

// Nothing where a value is not what its writer wrote: then the checker knows.
std::optional<KeyAnswer> StoreClient::AnswerOf(const std::string& key, const StoreAnswer& answer,
                                               const std::map<std::string, Token>& copy) {
  KeyAnswer checked;
  checked.is_there = true;
  checked.incarnation = answer.incarnation;
  checked.token = answer.token;
  checked.parts = answer.is_whole ? std::map<std::string, Token>() : copy;
  for (const StorePart& part : answer.parts) {
    if (!part.value) {
      checked.parts->erase(part.name);
      continue;
    }
    const auto writer = WriterOf(*part.value, part.name);
    if (!writer) {
      checker_.Fail(key, absl::StrCat("the value of ", part.name, " is nobody's"));
      return std::nullopt;
    }
    (*checked.parts)[part.name] = *writer;
  }
  for (const StoreField& field : answer.fields) {
    if (field.value && WriterOf(*field.value, field.name) != field.token) {
      checker_.Fail(key, absl::StrCat("the value of ", field.name, " is not its token's"));
      return std::nullopt;
    }
    checked.fields[field.name] = {field.token, field.value.has_value(), 0};
  }
  return checked;
}

void StoreClient::Read(const std::string& key, bool knows) {
  StoreQuery query;
  const std::map<std::string, Token> copy = known_[key].parts;
  if (knows && known_[key].is_there) query.known = known_[key].token;
  for (std::size_t i = 0; i < workload_.fields; ++i) {
    if (random_.Chance(0.6)) query.fields.push_back(absl::StrCat("f", i));
  }
  if (random_.Chance(0.3)) query.ttl = Ttl();
  const StoreChecker::Call begun = checker_.Begin(number_, key, KeyCall());
  const auto answer = store_.Query(key, query);
  if (!answer.ok()) {
    IsLost(answer.status(), begun);
    return;
  }
  const auto checked = AnswerOf(key, *answer, copy);
  if (!checked) return;
  checker_.End(begun, *checked);
  if (query.ttl) checker_.Renew(begun, answer->incarnation, *query.ttl);
  Known& known = known_[key];
  if (known.incarnation != answer->incarnation) known.fields.clear();
  known.is_there = true;
  known.incarnation = answer->incarnation;
  known.token = answer->token;
  known.parts = *checked->parts;
  for (const StoreField& field : answer->fields) known.fields[field.name] = field.token;
}

void StoreClient::ReadAll(const std::string& key) {
  const StoreChecker::Call begun = checker_.Begin(number_, key, KeyCall());
  const auto snapshot = store_.Snapshot(key);
  if (!snapshot.ok()) {
    IsLost(snapshot.status(), begun);
    return;
  }
  checker_.Pin(begun);
  auto checked = AnswerOf(key, (*snapshot)->session(), {});
  if (!checked) return;
  checked->all_fields.emplace();
  while (true) {
    const auto some = (*snapshot)->Next(1 + random_.Below(3));
    if (!some.ok()) {
      IsLost(some.status(), begun);
      return;
    }
    if (some->empty()) break;
    for (const StoreField& field : *some) {
      if (!field.value || WriterOf(*field.value, field.name) != field.token) {
        return checker_.Fail(key, absl::StrCat("the value of ", field.name, " is not its token's"));
      }
      (*checked->all_fields)[field.name] = field.token;
    }
    if (random_.Chance(0.3))
      scheduler_.Sleep(random_.Between(std::chrono::nanoseconds(0), workload_.pause));
  }
  checker_.End(begun, *checked);
}

void StoreClient::ReadTokens() {
  std::vector<std::string> keys;
  std::vector<StoreChecker::Call> calls;
  for (std::size_t i = 0; i < workload_.keys; ++i) {
    if (!random_.Chance(0.5)) continue;
    keys.push_back(KeyOf(i));
    calls.push_back(checker_.Begin(number_, keys.back(), KeyCall()));
  }
  const auto tokens = store_.Tokens(keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!tokens.ok()) {
      IsLost(tokens.status(), calls[i]);
      continue;
    }
    KeyAnswer answer;
    answer.is_there = static_cast<bool>((*tokens)[i]);
    if (*answer.is_there) answer.token = (*tokens)[i];
    checker_.End(calls[i], answer);
  }
}

void StoreClient::List() {
  const std::string prefix = random_.Chance(0.5) ? "" : (random_.Chance(0.5) ? "a/" : "b/");
  const std::size_t limit = 1 + random_.Below(workload_.keys);
  std::map<std::string, StoreChecker::Call> calls;
  for (std::size_t i = 0; i < workload_.keys; ++i) {
    const std::string key = KeyOf(i);
    if (!key.starts_with(prefix)) continue;
    KeyCall call;
    call.is_glance = true;
    calls[key] = checker_.Begin(number_, key, std::move(call));
  }
  const auto keys = store_.List(prefix, "", limit);
  if (!keys.ok()) {
    for (const auto& [key, call] : calls) IsLost(keys.status(), call);
    return;
  }
  for (const auto& [key, call] : calls) {
    // What lies behind a full page was not asked for.
    const bool is_asked = keys->size() < limit || key <= keys->back();
    KeyAnswer answer;
    if (is_asked) answer.is_there = std::find(keys->begin(), keys->end(), key) != keys->end();
    checker_.End(call, answer);
  }
}

void StoreClient::ExpectLife(std::chrono::nanoseconds bound) {
  may_dawdle_ = false;
  for (std::size_t i = 0; i < workload_.keys && !checker_.has_failed(); ++i) {
    const std::string key = KeyOf(i);
    const auto begin = scheduler_.now();
    was_lost_ = false;
    Read(key, false);
    if (known_[key].is_there) {
      Change(key, true);
    } else {
      Make(key);
    }
    if (was_lost_) checker_.Fail(key, "no answer, although all is well");
    if (scheduler_.now() - begin > bound) checker_.Fail(key, "calls take too long");
  }
}

}  // namespace dropoutd
