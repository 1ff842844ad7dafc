#include "server/store/redis_store.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/store/framing.h"
#include "server/store/redis_scripts.h"

namespace dropoutd {
namespace {

constexpr std::size_t kWriters = 4;
constexpr std::size_t kMostIdle = 64;
constexpr std::size_t kMostJobs = 64;  // That are sent before the answers are read.
constexpr std::string_view kAllKeys = "dropout:keys";
constexpr std::string_view kAllExpiries = "dropout:expiry";
constexpr std::string_view kDocument = "document";

absl::Status HasChanged() { return absl::AbortedError("the session has changed"); }
absl::Status NotThere() { return absl::NotFoundError("the store has no such session"); }
absl::Status Damaged() {
  return MakeError(Reason::kStoreCorrupt,
                   "the store's record of the session is damaged; it was set aside");
}
absl::Status Nonsense() {
  return MakeError(Reason::kStoreUnavailable, "Redis: the answer makes no sense");
}

// The keys of a session.
struct SessionKeys {
  explicit SessionKeys(std::string_view key) {
    const absl::string_view name(key.data(), key.size());
    d = absl::StrCat("dropout:{", name, "}:d");
    f = absl::StrCat("dropout:{", name, "}:f");
    n = absl::StrCat("dropout:{", name, "}:n");
  }

  std::string d, f, n;
};

std::string_view TextOf(const redisReply& reply) {
  return reply.str == nullptr ? std::string_view() : std::string_view(reply.str, reply.len);
}

// The parts of an answer that is a list of texts and numbers.
class Parts {
 public:
  explicit Parts(const redisReply& reply) : reply_(reply) {}

  std::size_t size() const { return reply_.type == REDIS_REPLY_ARRAY ? reply_.elements : 0; }
  std::string_view Text(std::size_t i) const { return TextOf(*reply_.element[i]); }
  std::int64_t Number(std::size_t i) const {
    const redisReply& part = *reply_.element[i];
    std::int64_t number = 0;
    if (part.type == REDIS_REPLY_INTEGER) return part.integer;
    return absl::SimpleAtoi(absl::string_view(part.str, part.len), &number) ? number : 0;
  }
  std::string_view word() const { return size() == 0 ? std::string_view() : Text(0); }

 private:
  const redisReply& reply_;
};

// The arguments of the script `commit`, with what they refer to.
struct CommitCall {
  // `expire`: of the change's time, from now.
  CommitCall(std::string_view key, const StoreChange& change, std::string expire) : keys(key) {
    texts.reserve(4 + 2 * (change.conditions.size() + change.writes.size()));
    arguments.push_back(key);
    Add(change.expected_version.has_value() ? absl::StrCat(*change.expected_version) : "");
    Add(change.document.has_value() ? Frame(kDocument, *change.document) : "");
    Add(std::move(expire));
    Add(absl::StrCat(change.conditions.size()));
    for (const auto* fields : {&change.conditions, &change.writes}) {
      for (const StoreField& field : *fields) {
        arguments.push_back(field.name);
        Add(field.value.has_value() ? Frame(field.name, *field.value) : "");
      }
    }
  }

  void Add(std::string text) { arguments.push_back(texts.emplace_back(std::move(text))); }

  RedisArguments Keys() const { return {keys.d, keys.f, keys.n, kAllKeys, kAllExpiries}; }

  SessionKeys keys;
  std::vector<std::string> texts;  // Reserved: arguments refer to them.
  RedisArguments arguments;
};

absl::StatusOr<StoreVersion> CommittedVersion(const absl::StatusOr<RedisReply>& reply) {
  DROPOUTD_RETURN_IF_ERROR(reply.status());
  const Parts parts(**reply);
  if (parts.word() == "ok" && parts.size() == 2) return static_cast<StoreVersion>(parts.Number(1));
  if (parts.word() == "none") return NotThere();
  if (parts.word() == "aborted") return HasChanged();
  return parts.word() == "bad" ? Damaged() : Nonsense();
}

// Whether a change is of another history than the connection that would carry it.
bool IsOfAnother(const std::optional<std::uint64_t>& history, const RedisConnection& connection) {
  return history.has_value() && *history != connection.history();
}

bool IsUnknownScript(const absl::Status& status) {
  return absl::EndsWith(status.message(), "NOSCRIPT");
}

}  // namespace

RedisStore::RedisStore(const RedisAddress& address, Now now)
    : address_(address), now_(std::move(now)) {
  for (std::size_t i = 0; i < kWriters; ++i) writers_.push_back(std::make_unique<Writer>(*this));
}

RedisStore::~RedisStore() { writers_.clear(); }

absl::StatusOr<std::unique_ptr<RedisStore>> RedisStore::Open(const RedisAddress& address, Now now) {
  std::unique_ptr<RedisStore> store(new RedisStore(address, std::move(now)));
  DROPOUTD_RETURN_IF_ERROR(store->Check());
  return store;
}

std::string RedisStore::FromNow(const std::optional<StoreTime>& time) const {
  if (!time.has_value()) return "";
  return absl::StrCat(std::chrono::ceil<std::chrono::milliseconds>(*time - now_()).count());
}

// --- Connections ----------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisStore::TakeConnection() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<RedisConnection> connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  return Connect();
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisStore::Connect() {
  DROPOUTD_ASSIGN_OR_RETURN(auto connection, RedisConnection::Connect(address_));
  std::vector<std::unique_ptr<RedisConnection>> old;  // End outside of the lock.
  const std::lock_guard lock(mutex_);
  if (connection->run_id() != run_id_) {
    run_id_ = connection->run_id();
    ++history_;
    old.swap(idle_);
  }
  connection->set_history(history_);
  return connection;
}

void RedisStore::GiveBack(std::unique_ptr<RedisConnection> connection) {
  if (connection->is_broken()) {
    // The others are of the same age.
    std::vector<std::unique_ptr<RedisConnection>> old;
    const std::lock_guard lock(mutex_);
    old.swap(idle_);
    return;
  }
  const std::lock_guard lock(mutex_);
  // One to a process that another has taken over from would answer as if that had not been.
  if (connection->history() != history_) return;
  if (idle_.size() < kMostIdle) idle_.push_back(std::move(connection));
}

absl::StatusOr<RedisReply> RedisStore::Call(const RedisScript& script, const RedisArguments& keys,
                                            const RedisArguments& arguments) {
  DROPOUTD_ASSIGN_OR_RETURN(auto connection, TakeConnection());
  auto reply = connection->Call(script, keys, arguments);
  if (connection->is_broken()) {
    GiveBack(std::move(connection));
    DROPOUTD_ASSIGN_OR_RETURN(connection, Connect());
    reply = connection->Call(script, keys, arguments);
  }
  GiveBack(std::move(connection));
  return reply;
}

// --- Writers --------------------------------------------------------------------------------

RedisStore::Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void RedisStore::Writer::Enqueue(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void RedisStore::Writer::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;  // Stopped, and nothing is left.
    std::deque<Job> some;
    while (!jobs_.empty() && some.size() < kMostJobs) {
      some.push_back(std::move(jobs_.front()));
      jobs_.pop_front();
    }
    lock.unlock();
    Send(some);
    lock.lock();
  }
}

// What is lost with the connection may have been done or not; who asked is told so.
void RedisStore::Writer::Send(std::deque<Job>& jobs) {
  const RedisScript& script = Scripts().commit;
  if (connection_ == nullptr || connection_->is_broken() ||
      connection_->history() != store_.history()) {
    auto connection = store_.Connect();
    if (!connection.ok()) {
      for (const Job& job : jobs) job.done(connection.status());
      return;
    }
    connection_ = *std::move(connection);
  }
  std::vector<CommitCall> calls;
  calls.reserve(jobs.size());
  std::erase_if(jobs, [&](const Job& job) {
    if (!IsOfAnother(job.change.expected_history, *connection_)) return false;
    job.done(HasChanged());
    return true;
  });
  for (const Job& job : jobs) {
    const CommitCall& call =
        calls.emplace_back(job.key, job.change, store_.FromNow(job.change.expire_time));
    connection_->Append(script, call.Keys(), call.arguments);
  }
  std::vector<absl::StatusOr<RedisReply>> replies;
  for (std::size_t i = 0; i < jobs.size(); ++i) replies.push_back(connection_->Receive());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    // A server that has restarted forgets its scripts; nothing was done then, and those behind
    // it were not either.
    if (!replies[i].ok() && IsUnknownScript(replies[i].status())) {
      replies[i] = connection_->Call(script, calls[i].Keys(), calls[i].arguments);
    }
    jobs[i].done(CommittedVersion(replies[i]));
  }
}

void RedisStore::StartCommit(std::string_view key, StoreChange change, Committed done) {
  const std::size_t writer = std::hash<std::string_view>()(key) % writers_.size();
  writers_[writer]->Enqueue({std::string(key), std::move(change), std::move(done)});
}

// --- Calls that wait ------------------------------------------------------------------------

// Straight to Redis: to wake a writer would take longer than the call. A lost connection is not
// tried again, because the change may have been made.
absl::StatusOr<StoreVersion> RedisStore::Commit(std::string_view key, StoreChange change) {
  const CommitCall call(key, change, FromNow(change.expire_time));
  DROPOUTD_ASSIGN_OR_RETURN(auto connection, TakeConnection());
  if (IsOfAnother(change.expected_history, *connection)) {
    GiveBack(std::move(connection));
    return HasChanged();
  }
  const auto reply = connection->Call(Scripts().commit, call.Keys(), call.arguments);
  GiveBack(std::move(connection));
  return CommittedVersion(reply);
}

absl::Status RedisStore::SetAside(std::string_view key) {
  const SessionKeys keys(key);
  DROPOUTD_RETURN_IF_ERROR(Call(Scripts().set_aside, {keys.d}, {}).status());
  return Damaged();
}

absl::StatusOr<StoreAnswer> RedisStore::Query(std::string_view key, const StoreQuery& query) {
  const SessionKeys keys(key);
  const std::string known = absl::StrCat(query.known_version);
  const std::string expire = FromNow(query.expire_time);
  RedisArguments arguments = {key, known, expire};
  arguments.insert(arguments.end(), query.fields.begin(), query.fields.end());
  DROPOUTD_ASSIGN_OR_RETURN(
      const RedisReply reply,
      Call(Scripts().query, {keys.d, keys.f, keys.n, kAllExpiries}, arguments));
  const Parts parts(*reply);
  if (parts.word() == "none") return NotThere();
  if (parts.word() == "bad") return Damaged();
  if (parts.word() != "ok" || parts.size() != 4 + query.fields.size()) return Nonsense();
  StoreAnswer answer;
  answer.version = static_cast<StoreVersion>(parts.Number(1));
  answer.expire_time = now_() + std::chrono::milliseconds(parts.Number(2));
  if (answer.version != query.known_version) {
    const auto document = Unframe(kDocument, parts.Text(3));
    if (!document.has_value()) return SetAside(key);
    answer.document.emplace(*document);
  }
  for (std::size_t i = 0; i < query.fields.size(); ++i) {
    answer.fields.push_back({query.fields[i], std::nullopt});
    const std::string_view framed = parts.Text(4 + i);
    if (framed.empty()) continue;
    const auto value = Unframe(query.fields[i], framed);
    if (!value.has_value()) return SetAside(key);
    answer.fields.back().value.emplace(*value);
  }
  return answer;
}

absl::StatusOr<std::vector<StoreField>> RedisStore::Scan(std::string_view key,
                                                         const FieldRange& range,
                                                         std::size_t limit) {
  const SessionKeys keys(key);
  const std::string most =
      absl::StrCat(std::min<std::size_t>(limit, std::numeric_limits<std::int32_t>::max()));
  DROPOUTD_ASSIGN_OR_RETURN(const RedisReply reply, Call(Scripts().scan, {keys.d, keys.f, keys.n},
                                                         {range.first, range.last, most}));
  const Parts parts(*reply);
  if (parts.word() == "bad") return Damaged();
  if (parts.word() != "ok" || parts.size() % 2 != 1) return Nonsense();
  std::vector<StoreField> fields;
  for (std::size_t i = 1; i < parts.size(); i += 2) {
    std::string name(parts.Text(i));
    const auto value = Unframe(name, parts.Text(i + 1));
    if (!value.has_value()) return SetAside(key);
    fields.push_back({std::move(name), std::string(*value)});
  }
  return fields;
}

absl::StatusOr<std::uint64_t> RedisStore::EraseRange(std::string_view key, const FieldRange& range,
                                                     std::size_t keep) {
  const SessionKeys keys(key);
  const std::string kept = absl::StrCat(keep);
  DROPOUTD_ASSIGN_OR_RETURN(
      const RedisReply reply,
      Call(Scripts().erase_range, {keys.d, keys.f, keys.n}, {range.first, range.last, kept}));
  if (reply->type != REDIS_REPLY_INTEGER) return Nonsense();
  if (reply->integer < 0) return Damaged();
  return static_cast<std::uint64_t>(reply->integer);
}

absl::Status RedisStore::Remove(std::string_view key) {
  const SessionKeys keys(key);
  DROPOUTD_ASSIGN_OR_RETURN(
      const RedisReply reply,
      Call(Scripts().remove, {keys.d, keys.f, keys.n, kAllKeys, kAllExpiries}, {key}));
  if (reply->type != REDIS_REPLY_INTEGER) return Nonsense();
  return reply->integer != 0 ? absl::OkStatus() : NotThere();
}

absl::StatusOr<std::vector<std::string>> RedisStore::List(std::string_view prefix,
                                                          std::string_view after,
                                                          std::size_t limit) {
  // Bounds of the sorted set: after what was seen, and before all that begins otherwise.
  std::string first = after < prefix ? "[" : "(";
  first += after < prefix ? prefix : after;
  std::string last(prefix);
  while (!last.empty() && static_cast<unsigned char>(last.back()) == 0xFF) last.pop_back();
  if (!last.empty()) ++last.back();
  last = last.empty() ? "+" : "(" + last;
  const std::string most = absl::StrCat(limit);
  DROPOUTD_ASSIGN_OR_RETURN(const RedisReply reply,
                            Call(Scripts().list, {kAllKeys}, {first, last, most}));
  const Parts parts(*reply);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < parts.size(); ++i) keys.emplace_back(parts.Text(i));
  return keys;
}

absl::StatusOr<std::uint64_t> RedisStore::Count() {
  DROPOUTD_ASSIGN_OR_RETURN(const RedisReply reply, Call(Scripts().count, {kAllKeys}, {}));
  if (reply->type != REDIS_REPLY_INTEGER) return Nonsense();
  return static_cast<std::uint64_t>(reply->integer);
}

absl::Status RedisStore::RemoveExpired() {
  while (true) {
    DROPOUTD_ASSIGN_OR_RETURN(const RedisReply reply,
                              Call(Scripts().remove_expired, {kAllKeys, kAllExpiries}, {}));
    if (reply->type != REDIS_REPLY_INTEGER) return Nonsense();
    if (reply->integer == 0) return absl::OkStatus();
  }
}

absl::Status RedisStore::Check() { return Call(Scripts().check, {"dropout:check"}, {}).status(); }

}  // namespace dropoutd
