#include "server/store/redis_store.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/redis_answer.h"
#include "server/store/redis_commit.h"
#include "server/store/redis_field.h"
#include "server/store/redis_scripts.h"
#include "server/store/redis_snapshot.h"
#include "server/store/single_topology.h"
#include "server/store/store_rules.h"

namespace dropoutd {
namespace {

// No script may keep the others waiting for long.
constexpr std::size_t kMostInScript = 250;
constexpr std::size_t kMostStagedBytes = std::size_t{1} << 20;
constexpr std::size_t kMostListed = 1'000'000;
constexpr int kDueInScript = 100;
constexpr int kSweptBuckets = 128;  // Of a cluster, by one call.
constexpr int kOldestVersion = 7;

std::vector<RedisCall*> PointersTo(std::vector<RedisCall>& calls) {
  std::vector<RedisCall*> pointers;
  pointers.reserve(calls.size());
  for (RedisCall& call : calls) pointers.push_back(&call);
  return pointers;
}

// The value of a line of INFO.
std::string InfoLine(std::string_view info, std::string_view name) {
  const std::size_t begin = info.find(name);
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = info.substr(begin + name.size());
  return std::string(rest.substr(0, rest.find_first_of("\r\n")));
}

}  // namespace

RedisStore::RedisStore(std::unique_ptr<RedisTopology> topology, RedisOptions options)
    : caller_(std::move(topology), std::move(options)),
      is_cluster_(caller_.topology().is_cluster()),
      counts_(caller_) {
  for (std::size_t i = 0; i < caller_.options().writers; ++i) {
    writers_.push_back(std::make_unique<RedisWriter>(
        [this](std::vector<RedisWriter::Job> jobs) { Send(std::move(jobs)); }));
  }
}

absl::StatusOr<std::unique_ptr<RedisStore>> RedisStore::Open(
    std::unique_ptr<RedisTopology> topology, RedisOptions options) {
  std::unique_ptr<RedisStore> store(new RedisStore(std::move(topology), std::move(options)));
  DROPOUTD_RETURN_IF_ERROR(store->CheckVersion());
  DROPOUTD_RETURN_IF_ERROR(store->Check());
  return store;
}

absl::StatusOr<std::unique_ptr<RedisStore>> RedisStore::Open(const RedisAddress& address,
                                                             RedisOptions options) {
  options.command_timeout = address.command_timeout;
  return Open(std::make_unique<SingleTopology>(address), std::move(options));
}

absl::Status RedisStore::CheckVersion() {
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue info, caller_.RunCommand(0, {"INFO", "server"}));
  const std::string version = InfoLine(info.text, "redis_version:");
  int major = 0;
  if (absl::SimpleAtoi(version.substr(0, version.find('.')), &major) && major >= kOldestVersion) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "Redis has version ", version.empty() ? "unknown" : version, "; 7.0 or newer is needed"));
}

absl::Status RedisStore::Check() {
  std::map<int, RedisCall> calls;  // By group.
  for (int bucket = 0; bucket < (is_cluster_ ? kRedisBuckets : 1); ++bucket) {
    RedisCall& call = calls[caller_.topology().GroupOf(bucket)];
    call.bucket = bucket;
    call.script = &Scripts().check;
    call.keys = {is_cluster_ ? absl::StrCat("dropout:{", bucket, "}:check") : "dropout:check"};
  }
  std::vector<RedisCall*> pointers;
  for (auto& [group, call] : calls) pointers.push_back(&call);
  for (const auto& answer : caller_.RunAll(pointers)) DROPOUTD_RETURN_IF_ERROR(answer.status());
  return absl::OkStatus();
}

// --- Sessions of format 1 ---------------------------------------------------------------------

absl::Status RedisStore::Move(const RedisKeys& keys) {
  const Token incarnation = Token::Random();
  const std::string base = keys.BaseOf(incarnation);
  const std::string old = keys.stub.substr(0, keys.stub.size() - 1);
  RedisCall call;
  call.bucket = keys.bucket;
  call.script = &Scripts().move;
  call.keys = {keys.d,
               base + "f",
               base + "n",
               keys.stub,
               old + "f",
               old + "n",
               keys.index.keys,
               keys.index.expiry,
               std::string(kOldRedisKeys),
               std::string(kOldRedisExpiry)};
  call.arguments = {keys.session, incarnation.Bytes(), Token::Random().Bytes(), StubDocument()};
  call.is_write = true;
  return caller_.Run(call).status();
}

absl::StatusOr<RedisValue> RedisStore::RunMoving(const RedisKeys& keys, RedisCall& call) {
  DROPOUTD_ASSIGN_OR_RETURN(RedisValue answer, caller_.Run(call));
  if (WordOf(answer) != "old") return answer;
  DROPOUTD_RETURN_IF_ERROR(Move(keys));
  return caller_.Run(call);
}

// --- Changes ----------------------------------------------------------------------------------

absl::StatusOr<SessionsElsewhere> RedisStore::Elsewhere(const RedisKeys& keys,
                                                        const StoreChange& change) {
  if (!is_cluster_ || !change.makes.has_value()) return SessionsElsewhere();
  return counts_.Reserve(keys.bucket, keys.session, change.makes->prefix);
}

void RedisStore::CountResult(const RedisKeys& keys, const StoreChange& change,
                             const absl::StatusOr<StoreResult>& result) {
  if (!is_cluster_ || !change.makes.has_value()) return;
  // One that may have been made counts, until all are counted again.
  counts_.Settle(keys.bucket, keys.session, !result.ok() || result->outcome == StoreOutcome::kDone);
}

// Straight to Redis: to wake a writer would take longer than the call.
absl::StatusOr<StoreResult> RedisStore::Commit(std::string_view key, StoreChange change) {
  const RedisKeys keys = KeysOf(key);
  DROPOUTD_ASSIGN_OR_RETURN(const SessionsElsewhere elsewhere, Elsewhere(keys, change));
  RedisCall call = CommitCallOf(keys, change, elsewhere);
  const auto answer = RunMoving(keys, call);
  auto result = answer.ok() ? CommitResultOf(call, *answer) : answer.status();
  CountResult(keys, change, result);
  return result;
}

void RedisStore::StartCommit(std::string_view key, StoreChange change, Committed done) {
  if (writers_.empty()) return done(Commit(key, std::move(change)));
  const std::size_t writer = static_cast<std::size_t>(RedisBucketOf(key)) % writers_.size();
  writers_[writer]->Enqueue({std::string(key), std::move(change), std::move(done)});
}

void RedisStore::Send(std::vector<RedisWriter::Job> jobs) {
  std::vector<RedisCall> calls;
  calls.reserve(jobs.size());
  std::erase_if(jobs, [&](const RedisWriter::Job& job) {
    const RedisKeys keys = KeysOf(job.key);
    const auto elsewhere = Elsewhere(keys, job.change);
    if (elsewhere.ok()) calls.push_back(CommitCallOf(keys, job.change, *elsewhere));
    if (!elsewhere.ok()) job.done(elsewhere.status());
    return !elsewhere.ok();
  });
  const auto answers = caller_.RunAll(PointersTo(calls));
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    absl::StatusOr<StoreResult> result = RedisNonsense();
    if (!answers[i].ok()) {
      result = answers[i].status();
    } else if (WordOf(*answers[i]) == "old") {
      result = Commit(jobs[i].key, jobs[i].change);
    } else {
      result = CommitResultOf(calls[i], *answers[i]);
    }
    CountResult(KeysOf(jobs[i].key), jobs[i].change, result);
    jobs[i].done(std::move(result));
  }
}

absl::Status RedisStore::Stage(std::string_view key, Token incarnation,
                               std::vector<StoreField> fields) {
  const RedisKeys keys = KeysOf(key);
  for (std::size_t next = 0; next < fields.size();) {
    RedisCall call;
    call.bucket = keys.bucket;
    call.script = &Scripts().stage;
    call.keys = keys.Of(incarnation);
    call.arguments = {keys.session, incarnation.Bytes(), ""};
    call.deadline = 2;
    call.is_write = true;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < kMostInScript && next < fields.size(); ++i, ++next) {
      const StoreField& field = fields[next];
      call.arguments.push_back(field.name);
      call.arguments.push_back(RedisField(Token(), field.name, field.value.value_or("")));
      bytes += call.arguments.back().size();
      if (bytes >= kMostStagedBytes) i = kMostInScript;
    }
    DROPOUTD_ASSIGN_OR_RETURN(const RedisValue answer, caller_.Run(call));
    if (WordOf(answer) != "ok") return RedisUnavailable("the session has been made already");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> RedisStore::EraseRange(std::string_view key, Token incarnation,
                                                     std::optional<Token> expected,
                                                     const FieldRange& range, std::size_t keep,
                                                     std::size_t most) {
  const RedisKeys keys = KeysOf(key);
  const RedisBounds bounds = BoundsOf(range);
  std::uint64_t erased = 0;
  while (erased < most) {
    const std::uint64_t some = std::min<std::uint64_t>(most - erased, kMostInScript);
    RedisCall call;
    call.bucket = keys.bucket;
    call.script = &Scripts().erase_range;
    call.keys = keys.Of(incarnation);
    call.arguments = {keys.session,
                      incarnation.Bytes(),
                      "",
                      expected.has_value() ? expected->Bytes() : "",
                      bounds.first,
                      bounds.last,
                      absl::StrCat(keep),
                      absl::StrCat(some)};
    call.deadline = 2;
    call.is_write = true;
    DROPOUTD_ASSIGN_OR_RETURN(const RedisValue answer, caller_.Run(call));
    if (WordOf(answer) == "bad") return RedisDamaged();
    const auto gone = static_cast<std::uint64_t>(NumberAt(answer, 2));
    erased += gone;
    if (gone < some) break;
  }
  return erased;
}

absl::StatusOr<StoreResult> RedisStore::Remove(std::string_view key, Token incarnation,
                                               Token token) {
  const RedisKeys keys = KeysOf(key);
  RedisCall call;
  call.bucket = keys.bucket;
  call.script = &Scripts().remove;
  call.keys = keys.Of(incarnation);
  call.arguments = {keys.session, incarnation.Bytes(), token.Bytes(), ""};
  call.deadline = 3;
  call.is_write = true;
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue answer, caller_.Run(call));
  auto result = CommitResultOf(call, answer);
  if (is_cluster_ && result.ok() && result->outcome == StoreOutcome::kDone) {
    counts_.Removed(keys.bucket, key);
  }
  return result;
}

// --- Questions --------------------------------------------------------------------------------

absl::StatusOr<StoreAnswer> RedisStore::Query(std::string_view key, const StoreQuery& query) {
  const RedisKeys keys = KeysOf(key);
  RedisCall call;
  call.bucket = keys.bucket;
  call.script = &Scripts().query;
  call.keys = {keys.d, keys.index.expiry};
  if (!is_cluster_) call.keys.push_back(keys.stub);
  call.arguments = {
      keys.session, query.known.Bytes(),
      query.ttl.has_value()
          ? absl::StrCat(std::chrono::ceil<std::chrono::milliseconds>(*query.ttl).count())
          : ""};
  call.arguments.insert(call.arguments.end(), query.fields.begin(), query.fields.end());
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue answer, RunMoving(keys, call));
  DROPOUTD_ASSIGN_OR_RETURN(RedisSession session,
                            ParseRedisSession(answer, query.fields, keys, caller_));
  return std::move(session.answer);
}

absl::StatusOr<std::unique_ptr<StoreSnapshot>> RedisStore::Snapshot(std::string_view key) {
  const RedisKeys keys = KeysOf(key);
  const std::string id = Token::Random().Bytes();
  RedisCall call;
  call.bucket = keys.bucket;
  call.script = &Scripts().snapshot_begin;
  call.keys = {keys.d};
  if (!is_cluster_) call.keys.push_back(keys.stub);
  call.arguments = {id};
  call.is_write = true;
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue answer, RunMoving(keys, call));
  if (WordOf(answer) == "busy") {
    return RedisUnavailable("too many snapshots of the session are read");
  }
  DROPOUTD_ASSIGN_OR_RETURN(RedisSession session, ParseRedisSession(answer, {}, keys, caller_));
  return std::make_unique<RedisSnapshot>(keys, std::move(session), id,
                                         std::string(TextAt(answer, 9)), caller_);
}

absl::StatusOr<std::vector<Token>> RedisStore::Tokens(const std::vector<std::string>& keys) {
  // Calls with the sessions that each of them asks for.
  std::vector<RedisCall> calls;
  std::vector<std::vector<std::size_t>> places;
  std::map<int, std::size_t> open;  // The call of a bucket that takes more.
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const RedisKeys names = KeysOf(keys[i]);
    const auto [found, is_new] = open.try_emplace(is_cluster_ ? names.bucket : 0, calls.size());
    if (!is_new && calls[found->second].keys.size() >= kMostInScript) found->second = calls.size();
    if (found->second == calls.size()) {
      calls.emplace_back();
      places.emplace_back();
      calls.back().bucket = names.bucket;
      calls.back().script = &Scripts().tokens;
    }
    calls[found->second].keys.push_back(names.d);
    places[found->second].push_back(i);
  }
  std::vector<Token> tokens(keys.size());
  const auto answers = caller_.RunAll(PointersTo(calls));
  for (std::size_t call = 0; call < calls.size(); ++call) {
    DROPOUTD_RETURN_IF_ERROR(answers[call].status());
    for (std::size_t i = 0; i < places[call].size(); ++i) {
      tokens[places[call][i]] = TokenAt(*answers[call], 2 + i);
    }
  }
  return tokens;
}

absl::StatusOr<std::vector<std::string>> RedisStore::List(std::string_view prefix,
                                                          std::string_view after,
                                                          std::size_t limit) {
  RedisBounds bounds = BoundsOfPrefix(prefix);
  if (after >= prefix)
    bounds.first = absl::StrCat("(", absl::string_view(after.data(), after.size()));
  limit = std::min(limit, kMostListed);
  std::vector<RedisCall> calls(is_cluster_ ? kRedisBuckets : 1);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    RedisCall& call = calls[i];
    call.bucket = static_cast<int>(i);
    const RedisIndex index(call.bucket, is_cluster_);
    call.script = &Scripts().list;
    call.keys = {index.keys, index.expiry};
    if (!is_cluster_) {
      call.keys.emplace_back(kOldRedisKeys);
      call.keys.emplace_back(kOldRedisExpiry);
    }
    call.arguments = {bounds.first, bounds.last, absl::StrCat(limit)};
  }
  std::set<std::string> sorted;
  for (const auto& answer : caller_.RunAll(PointersTo(calls))) {
    DROPOUTD_RETURN_IF_ERROR(answer.status());
    for (const RedisValue& key : ListAt(*answer, 2)) sorted.insert(key.text);
  }
  std::vector<std::string> keys(sorted.begin(), sorted.end());
  if (keys.size() > limit) keys.resize(limit);
  return keys;
}

absl::StatusOr<std::uint64_t> RedisStore::Count() { return counts_.All(); }

// --- The sweep --------------------------------------------------------------------------------

absl::StatusOr<std::vector<std::string>> RedisStore::Due(int first_bucket, int buckets) {
  std::vector<RedisCall> calls(static_cast<std::size_t>(buckets));
  for (std::size_t i = 0; i < calls.size(); ++i) {
    RedisCall& call = calls[i];
    call.bucket = (first_bucket + static_cast<int>(i)) % kRedisBuckets;
    call.script = &Scripts().due;
    call.keys = {RedisIndex(call.bucket, is_cluster_).expiry};
    if (!is_cluster_) {
      call.keys.emplace_back(kOldRedisKeys);
      call.keys.emplace_back(kOldRedisExpiry);
    }
    call.arguments = {absl::StrCat(kDueInScript)};
  }
  std::vector<std::string> sessions;
  for (const auto& answer : caller_.RunAll(PointersTo(calls))) {
    DROPOUTD_RETURN_IF_ERROR(answer.status());
    for (const RedisValue& each : ListAt(*answer, 2)) sessions.push_back(each.text);
  }
  return sessions;
}

absl::Status RedisStore::Sweep(const std::vector<std::string>& sessions) {
  std::vector<RedisCall> calls;
  for (const std::string& session : sessions) {
    const RedisKeys keys = KeysOf(session);
    RedisCall& call = calls.emplace_back();
    call.bucket = keys.bucket;
    call.script = &Scripts().sweep;
    call.keys = {keys.d, keys.index.keys, keys.index.expiry};
    if (!is_cluster_) call.keys.push_back(keys.stub);
    call.arguments = {session};
  }
  for (const auto& answer : caller_.RunAll(PointersTo(calls))) {
    DROPOUTD_RETURN_IF_ERROR(answer.status());
  }
  return absl::OkStatus();
}

absl::Status RedisStore::RemoveExpired() {
  const int buckets = is_cluster_ ? kSweptBuckets : 1;
  const int first = is_cluster_ ? swept_.fetch_add(buckets) % kRedisBuckets : 0;
  while (true) {
    DROPOUTD_ASSIGN_OR_RETURN(const std::vector<std::string> sessions, Due(first, buckets));
    if (sessions.empty()) return absl::OkStatus();
    DROPOUTD_RETURN_IF_ERROR(Sweep(sessions));
  }
}

}  // namespace dropoutd
