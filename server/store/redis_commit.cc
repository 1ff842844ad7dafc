#include "server/store/redis_commit.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/store/framing.h"
#include "server/store/redis_answer.h"
#include "server/store/redis_caller.h"
#include "server/store/redis_field.h"
#include "server/store/redis_scripts.h"
#include "server/store/store_rules.h"

namespace dropoutd {
namespace {

constexpr std::size_t kDeadlineArgument = 3;

// In order, and none touching another, so that no field is counted twice.
std::vector<FieldRange> Disjoint(std::vector<FieldRange> ranges) {
  std::erase_if(ranges, [](const FieldRange& each) { return each.last <= each.first; });
  std::sort(ranges.begin(), ranges.end(),
            [](const FieldRange& a, const FieldRange& b) { return a.first < b.first; });
  std::vector<FieldRange> merged;
  for (FieldRange& each : ranges) {
    if (merged.empty() || merged.back().last < each.first) {
      merged.push_back(std::move(each));
    } else if (merged.back().last < each.last) {
      merged.back().last = std::move(each.last);
    }
  }
  return merged;
}

bool OnlyRemoves(const StoreChange& change) {
  return !change.makes.has_value() &&
         std::none_of(change.parts.begin(), change.parts.end(),
                      [](const StorePart& part) { return part.value.has_value(); }) &&
         std::none_of(change.writes.begin(), change.writes.end(),
                      [](const FieldWrite& write) { return write.value.has_value(); });
}

std::string Flags(const FieldWrite& write, const StoreChange& change,
                  const std::vector<FieldRange>& erases) {
  std::string flags;
  if (!write.value.has_value()) flags += 'r';
  if (change.limit.has_value() && IsIn(write.name, change.limit->range)) flags += 'l';
  if (std::any_of(erases.begin(), erases.end(),
                  [&write](const FieldRange& each) { return IsIn(write.name, each); })) {
    flags += 'e';
  }
  return flags;
}

class ArgumentList {
 public:
  explicit ArgumentList(std::vector<std::string>& arguments) : arguments_(arguments) {}

  template <typename... Texts>
  void Add(Texts&&... texts) {
    (arguments_.emplace_back(std::forward<Texts>(texts)), ...);
  }
  void AddNumber(std::uint64_t number) { arguments_.push_back(absl::StrCat(number)); }
  void AddBounds(const RedisBounds& bounds) { Add(bounds.first, bounds.last); }

 private:
  std::vector<std::string>& arguments_;
};

void AddMaking(const StoreChange& change, const SessionsElsewhere& elsewhere, ArgumentList& list) {
  const SessionLimit limit = change.makes.value_or(SessionLimit());
  list.Add(change.makes.has_value() ? "1" : "");
  list.AddBounds(BoundsOfPrefix(limit.prefix));
  list.AddNumber(limit.most_of_tenant);
  list.AddNumber(limit.most);
  list.AddNumber(elsewhere.of_tenant);
  list.AddNumber(elsewhere.all);
}

void AddLimit(const StoreChange& change, ArgumentList& list) {
  if (!change.limit.has_value()) return list.Add("", "", "");
  list.AddBounds(BoundsOf(change.limit->range));
  list.AddNumber(change.limit->most);
}

void AddErases(const StoreChange& change, const std::vector<FieldRange>& erases,
               ArgumentList& list) {
  list.AddNumber(erases.size());
  for (const FieldRange& each : erases) {
    list.AddBounds(BoundsOf(each));
    FieldRange both;
    if (change.limit.has_value()) {
      both.first = std::max(each.first, change.limit->range.first);
      both.last = std::min(each.last, change.limit->range.last);
    }
    if (both.first < both.last) {
      list.AddBounds(BoundsOf(both));
    } else {
      list.Add("", "");
    }
  }
}

// Nothing but one field is written.
bool WritesOne(const StoreChange& change) {
  return !change.makes.has_value() && !change.limit.has_value() && change.parts.empty() &&
         change.erases.empty() && change.writes.size() == 1 &&
         change.writes.front().value.has_value();
}

void AddWriteOne(const StoreChange& change, ArgumentList& list) {
  const FieldWrite& write = change.writes.front();
  list.Add("w", write.name, RedisField(change.token, write.name, *write.value),
           write.replaces.Bytes());
}

}  // namespace

std::string StubDocument() { return Frame("document", "\x02"); }

RedisCall CommitCallOf(const RedisKeys& keys, const StoreChange& change,
                       const SessionsElsewhere& elsewhere) {
  RedisCall call;
  call.bucket = keys.bucket;
  call.script = OnlyRemoves(change) ? &Scripts().commit_removal : &Scripts().commit;
  call.keys = keys.Of(change.incarnation);
  if (change.makes.has_value() && !keys.is_cluster) {
    call.keys.emplace_back(kOldRedisKeys);
    call.keys.emplace_back(kOldRedisExpiry);
  }
  call.deadline = kDeadlineArgument;
  call.is_write = true;
  ArgumentList list(call.arguments);
  list.Add(keys.session, change.token.Bytes(), change.incarnation.Bytes(), "");
  list.Add(change.expected.has_value() ? change.expected->Bytes() : "");
  list.Add(change.ttl.has_value()
               ? absl::StrCat(std::chrono::ceil<std::chrono::milliseconds>(*change.ttl).count())
               : "");
  if (WritesOne(change)) {
    AddWriteOne(change, list);
    return call;
  }
  const std::vector<FieldRange> erases = Disjoint(change.erases);
  AddMaking(change, elsewhere, list);
  AddLimit(change, list);
  list.AddNumber(change.most_erased);
  list.AddNumber(change.parts.size());
  for (const StorePart& part : change.parts) {
    list.Add(part.name, part.value.has_value() ? Frame(part.name, *part.value) : "");
  }
  AddErases(change, erases, list);
  list.AddNumber(change.writes.size());
  for (const FieldWrite& write : change.writes) {
    list.Add(write.name,
             write.value.has_value() ? RedisField(change.token, write.name, *write.value)
                                     : RedisFieldRemoved(change.token),
             write.replaces.Bytes(), Flags(write, change, erases));
  }
  list.Add(StubDocument());
  list.AddNumber(change.staged);
  return call;
}

absl::StatusOr<StoreResult> CommitResultOf(const RedisCall& call, const RedisValue& answer) {
  const std::string_view word = WordOf(answer);
  if (word == "ok") {
    return Done(TokenAt(answer, 2), static_cast<std::uint64_t>(NumberAt(answer, 3)));
  }
  if (word == "bad") return RedisDamaged();
  if (call.is_ambiguous) {
    return RedisUnavailable("it is not known what became of a change whose answer was lost");
  }
  if (word == "absent") return Refused(StoreOutcome::kAbsent);
  if (word == "conflict") return Conflict(TokenAt(answer, 2), NumberAt(answer, 3) != 0);
  const auto count = static_cast<std::uint64_t>(NumberAt(answer, 2));
  if (word == "too_many") return Refused(StoreOutcome::kTooMany, count);
  if (word == "full") return Refused(StoreOutcome::kFull, count);
  if (word == "tenant_full") return Refused(StoreOutcome::kTenantFull, count);
  if (word == "staged_lost") return Refused(StoreOutcome::kStagedLost);
  if (word == "full_of_sessions") return Refused(StoreOutcome::kFullOfSessions, count);
  if (word != "occupied") return RedisNonsense();
  StoreResult occupied = Refused(StoreOutcome::kOccupied);
  for (std::size_t i = 2; i < answer.list.size(); ++i) occupied.found.push_back(TokenAt(answer, i));
  return occupied;
}

}  // namespace dropoutd
