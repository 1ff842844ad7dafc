#include "server/store/redis_caller.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{10};
constexpr milliseconds kLongestPause{200};
constexpr int kMostUnreachable = 3;  // In a row, of a call that did not reach any server.

// Errors that say that another server serves the keys, or this one will soon.
constexpr std::array<std::string_view, 7> kElsewhere = {
    "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "MOVED", "TRYAGAIN", "BUSY"};

RedisArguments Views(const std::vector<std::string>& texts) {
  return RedisArguments(texts.begin(), texts.end());
}

bool IsWord(const absl::StatusOr<RedisValue>& answer, std::string_view word) {
  return answer.ok() && WordOf(*answer) == word;
}

}  // namespace

// A call on its way.
struct RedisCaller::Attempt {
  RedisCall* call;
  std::optional<absl::StatusOr<RedisValue>> answer;  // Settled.
  absl::Status last = absl::OkStatus();              // What kept it from being so.
  int unreachable = 0;
  int unknown_script = 0;  // So often in a row.
};

std::string_view WordOf(const RedisValue& answer) {
  return answer.list.size() < 2 ? std::string_view() : std::string_view(answer.list[0].text);
}

absl::Status RedisUnavailable(std::string_view why) {
  return MakeError(Reason::kStoreUnavailable,
                   absl::StrCat("Redis: ", absl::string_view(why.data(), why.size())));
}

RedisCaller::RedisCaller(std::unique_ptr<RedisTopology> topology, RedisOptions options)
    : topology_(std::move(topology)),
      options_(std::move(options)),
      pool_(*topology_, options_.now) {}

absl::StatusOr<RedisValue> RedisCaller::Run(RedisCall& call) { return RunAll({&call}).front(); }

absl::StatusOr<RedisValue> RedisCaller::RunCommand(int bucket, const RedisArguments& command) {
  DROPOUTD_ASSIGN_OR_RETURN(RedisLink link, pool_.Take(bucket));
  auto answer = link.connection->Run(command);
  pool_.GiveBack(std::move(link));
  if (answer.ok() && answer->is_error()) return RedisUnavailable(answer->ErrorWord());
  return answer;
}

std::vector<absl::StatusOr<RedisValue>> RedisCaller::RunAll(std::vector<RedisCall*> calls) {
  std::vector<Attempt> attempts(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) attempts[i].call = calls[i];
  const auto end = options_.now() + 2 * options_.command_timeout;
  milliseconds pause = kFirstPause;
  while (true) {
    std::map<int, std::vector<Attempt*>> groups;
    for (Attempt& each : attempts) {
      if (!each.answer.has_value()) groups[topology_->GroupOf(each.call->bucket)].push_back(&each);
    }
    if (groups.empty()) break;
    for (auto& [number, group] : groups) RunGroup(std::move(group));
    bool must_wait = false;
    const bool is_late = options_.now() >= end;
    for (Attempt& each : attempts) {
      if (each.answer.has_value()) continue;
      // A call that may have been made is worth all the time there is.
      const bool is_lost = !each.call->is_ambiguous && each.unreachable >= kMostUnreachable;
      if (is_late || is_lost) each.answer = each.last;
      must_wait = must_wait || each.unknown_script != 1;
    }
    if (!must_wait || is_late) continue;
    options_.sleep(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
  std::vector<absl::StatusOr<RedisValue>> answers;
  answers.reserve(attempts.size());
  for (Attempt& each : attempts) answers.push_back(*std::move(each.answer));
  return answers;
}

void RedisCaller::RunGroup(std::vector<Attempt*> group) {
  const int bucket = group.front()->call->bucket;
  auto link = pool_.Take(bucket);
  if (!link.ok()) {
    topology_->Suspect(bucket, "");
    for (Attempt* const each : group) {
      each->last = link.status();
      each->unknown_script = 0;
      ++each->unreachable;
    }
    return;
  }
  RunOn(*link, group);
  pool_.GiveBack(*std::move(link));
}

void RedisCaller::Append(RedisLink& link, RedisCall& call) {
  if (call.deadline.has_value()) {
    call.arguments[*call.deadline] = absl::StrCat(link.TimeAt(options_.now()) + kDeadline.count());
  }
  link.connection->Append(*call.script, Views(call.keys), Views(call.arguments));
}

void RedisCaller::RunOn(RedisLink& link, const std::vector<Attempt*>& group) {
  const bool waits = options_.wait_replicas > 0 &&
                     std::any_of(group.begin(), group.end(),
                                 [](const Attempt* each) { return each->call->is_write; });
  for (Attempt* const each : group) Append(link, *each->call);
  const std::string replicas = absl::StrCat(options_.wait_replicas);
  // Before the connection gives up.
  const std::string patience = absl::StrCat(2 * options_.command_timeout.count() / 3);
  if (waits) link.connection->Append({"WAIT", replicas, patience});
  std::vector<absl::StatusOr<RedisValue>> answers;
  answers.reserve(group.size());
  for (std::size_t i = 0; i < group.size(); ++i) answers.push_back(link.connection->Receive());
  std::optional<absl::StatusOr<RedisValue>> replicated;
  if (waits) replicated = link.connection->Receive();
  const absl::Status confirmed = Confirm(link, group.front()->call->bucket);
  std::vector<const RedisScript*> unknown;
  for (std::size_t i = 0; i < group.size(); ++i) {
    Attempt& each = *group[i];
    // What was sent behind a call that has to be made again was made before it.
    const bool follows =
        std::any_of(group.begin(), group.begin() + i, [&each](const Attempt* before) {
          return !before->answer.has_value() && before->call->keys[0] == each.call->keys[0];
        });
    Settle(link, answers[i], each);
    if (replicated.has_value()) CheckReplicas(*replicated, each);
    if (!confirmed.ok()) Void(confirmed, each);
    if (follows && each.answer.has_value() && !IsWord(*each.answer, "ok")) each.answer.reset();
    if (each.unknown_script > 0) unknown.push_back(each.call->script);
  }
  std::sort(unknown.begin(), unknown.end());
  unknown.erase(std::unique(unknown.begin(), unknown.end()), unknown.end());
  for (const RedisScript* const script : unknown) {
    (void)link.connection->Run({"SCRIPT", "LOAD", script->source});
  }
  if (link.connection->is_broken()) topology_->Suspect(group.front()->call->bucket, "");
}

// Where changes wait for replicas reads are confirmed too: another server may have answered a
// change through the new primary already.
absl::Status RedisCaller::Confirm(RedisLink& link, int bucket) {
  if (options_.wait_replicas == 0 || link.connection->is_broken()) return absl::OkStatus();
  const absl::Status confirmed = topology_->Confirm(bucket, link.group);
  if (confirmed.ok()) return confirmed;
  link.is_suspect = true;
  topology_->Suspect(bucket, "");
  return confirmed;
}

void RedisCaller::Void(const absl::Status& why, Attempt& attempt) {
  if (!attempt.answer.has_value() || !attempt.answer->ok()) return;
  attempt.answer.reset();
  attempt.last = why;
  if (attempt.call->is_write) attempt.call->is_ambiguous = true;
}

// What replicas have is known of all that was sent before.
void RedisCaller::CheckReplicas(const absl::StatusOr<RedisValue>& have, Attempt& attempt) {
  if (!attempt.call->is_write || !attempt.answer.has_value()) return;
  if (!IsWord(*attempt.answer, "ok")) return;
  if (have.ok() && !have->is_error() && have->integer >= options_.wait_replicas) return;
  attempt.call->is_ambiguous = true;
  attempt.last = RedisUnavailable("too few replicas have the change");
  attempt.answer.reset();
  if (have.ok()) attempt.answer = attempt.last;  // They had their time; else it is made again.
}

void RedisCaller::Settle(RedisLink& link, const absl::StatusOr<RedisValue>& answer,
                         Attempt& attempt) {
  const int unknown_script = std::exchange(attempt.unknown_script, 0);
  attempt.unreachable = 0;
  if (!answer.ok()) {
    attempt.last = answer.status();
    attempt.call->is_ambiguous = true;
    return;
  }
  if (answer->ErrorWord() == "NOSCRIPT") {
    attempt.last = RedisUnavailable("NOSCRIPT");
    attempt.unknown_script = unknown_script + 1;
    return;
  }
  if (answer->is_error()) return SettleError(link, *answer, attempt);
  const std::string_view word = WordOf(*answer);
  if (word.empty()) {
    attempt.answer = RedisUnavailable("the answer makes no sense");
    return;
  }
  link.SawTime(answer->list[1].integer, options_.now());
  if (word == "late" || word == "early") {
    attempt.last = RedisUnavailable("its clock has stepped, or the way to it is too slow");
    return;
  }
  attempt.answer = *answer;
}

void RedisCaller::SettleError(RedisLink& link, const RedisValue& error, Attempt& attempt) {
  const std::string_view word = error.ErrorWord();
  attempt.last = RedisUnavailable(word);
  if (word == "ASK") return Ask(error.text, attempt);
  // A script that was stopped in the midst of a move: see redis_lua_common.cc.
  const bool is_moving = absl::StrContains(error.text, "non local key");
  if (is_moving || std::find(kElsewhere.begin(), kElsewhere.end(), word) != kElsewhere.end()) {
    link.is_suspect = true;
    topology_->Suspect(attempt.call->bucket, error.text);
    return;
  }
  // Something else than what we write stands where the script looks.
  const bool is_damaged = word == "WRONGTYPE" || absl::StrContains(error.text, "user_script");
  attempt.answer =
      is_damaged ? MakeError(Reason::kStoreCorrupt, "the store's record of the session is damaged")
                 : attempt.last;
}

void RedisCaller::Ask(const std::string& ask, Attempt& attempt) {
  auto link = pool_.TakeAsked(ask);
  if (!link.ok()) {
    attempt.last = link.status();
    topology_->Suspect(attempt.call->bucket, ask);
    return;
  }
  RedisConnection& connection = *link->connection;
  (void)connection.Run({"SCRIPT", "LOAD", attempt.call->script->source});
  connection.Append({"ASKING"});
  Append(*link, *attempt.call);
  const std::string replicas = absl::StrCat(options_.wait_replicas);
  const std::string patience = absl::StrCat(2 * options_.command_timeout.count() / 3);
  const bool waits = options_.wait_replicas > 0 && attempt.call->is_write;
  if (waits) connection.Append({"WAIT", replicas, patience});
  (void)connection.Receive();
  auto answer = connection.Receive();
  std::optional<absl::StatusOr<RedisValue>> replicated;
  if (waits) replicated = connection.Receive();
  // To be sent on once more means that the move goes on: later.
  if (answer.ok() && answer->ErrorWord() == "ASK") return;
  Settle(*link, answer, attempt);
  if (replicated.has_value()) CheckReplicas(*replicated, attempt);
}

}  // namespace dropoutd
