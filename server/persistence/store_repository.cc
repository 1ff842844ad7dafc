#include "server/persistence/store_repository.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "server/base/error.h"
#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/persistence/field_collector.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_change.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/store_limits.h"
#include "server/persistence/use_filter.h"
#include "server/session/quota_terms.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

// Older parameters stay for Backwards of steps that ran before the last updates.
constexpr std::size_t kParametersKept = 8;

// A copy that has been idle for this long is dropped if there are more than kCopiesKept, or if its
// session may have ended.
constexpr Nanoseconds kIdle = std::chrono::minutes(1);
constexpr std::size_t kCopiesKept = 1000;

constexpr std::size_t kFieldsAtOnce = 256;
constexpr std::size_t kBytesAtOnce = std::size_t{1} << 20;

}  // namespace

// --- Making and ending ----------------------------------------------------------------------

absl::Status StoreRepository::StageAll(std::string_view key, Token incarnation,
                                       std::vector<StoreField> fields) {
  std::vector<StoreField> some;
  std::size_t bytes = 0;
  for (StoreField& field : fields) {
    bytes += field.name.size() + field.value->size();
    some.push_back(std::move(field));
    if (some.size() < kFieldsAtOnce && bytes < kBytesAtOnce) continue;
    Checkpoint();
    DROPOUTD_RETURN_IF_ERROR(Translate(store_.Stage(key, incarnation, std::move(some)), key));
    some.clear();
    bytes = 0;
  }
  if (some.empty()) return absl::OkStatus();
  return Translate(store_.Stage(key, incarnation, std::move(some)), key);
}

// `staged`: how many fields were. `removal`: the one that it replaces. ABORTED, with no reason, if
// there is a session, or another was removed: then `removal` names that.
absl::StatusOr<FoundSession> StoreRepository::Make(const std::string& key, const SharedImage& image,
                                                   std::uint64_t staged, Token& removal) {
  StoreChange change = ChangeTo(*image);
  const Token token = change.token;
  change.expected = removal;
  change.staged = staged;
  const std::string tenant(TenantOf(key));
  change.makes = SessionLimit{tenant.empty() ? "" : SessionKey(tenant, ""),
                              limits_.tenant_max_sessions, limits_.max_sessions};
  change.ttl = StoredTtl(image->ttl);
  const SteadyTime now = clock_.Now();
  const auto result = store_.Commit(key, std::move(change));
  if (!result.ok()) return Translate(result.status(), key);
  if (result->outcome == StoreOutcome::kTenantFull) {
    return QuotaError(SessionTerms(limits_), QuotaLimit::kTenant, 1, result->count);
  }
  // What the store counted are those of all tenants.
  if (result->outcome == StoreOutcome::kFullOfSessions) {
    return QuotaError(SessionTerms(limits_), QuotaLimit::kTotal, 1, std::nullopt);
  }
  if (result->outcome == StoreOutcome::kStagedLost) {
    return MakeError(Reason::kStoreUnavailable,
                     "the store has lost a part of what the session was to hold; repeat the call");
  }
  if (result->outcome != StoreOutcome::kDone) {
    removal = result->exists ? Token() : result->token;
    return absl::AbortedError("the key is taken, or was");
  }
  auto version = std::make_shared<const Version>(Version{image, token});
  auto session = std::make_shared<Session>(key, version, budgets_, now);
  session->ExtendStoredUntil(now + StoredTtl(image->ttl));
  registry_.Replace(session);
  return FoundSession{std::move(session), std::move(version)};
}

absl::StatusOr<FoundSession> StoreRepository::Create(const std::string& key, SharedImage image,
                                                     IsSame is_same, Copied* copied) {
  bool is_staged = copied == nullptr;
  const std::uint64_t staged = is_staged ? 0 : copied->fields.size();
  Token removal;
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    const auto found = Find(key);
    if (found.ok()) {
      if (!is_same(*found->version->image)) return SessionExists(key);
      return found;
    }
    if (ReasonOf(found.status()) != Reason::kSessionNotFound) return found.status();
    if (!std::exchange(is_staged, true)) {
      DROPOUTD_RETURN_IF_ERROR(StageAll(key, image->incarnation, std::move(copied->fields)));
    }
    const std::lock_guard gate(GateOf(key));
    auto made = Make(key, image, staged, removal);
    // Made meanwhile: by this call's own first attempt, perhaps.
    if (made.ok() || !absl::IsAborted(made.status())) return made;
  }
  return MakeError(Reason::kStoreUnavailable,
                   "session_id: other calls delete and create the session again and again; "
                   "repeat the call");
}

absl::Status StoreRepository::Delete(std::string_view key) {
  const std::lock_guard gate(GateOf(key));
  bool has_expired = false;
  const auto session = registry_.Renew(key, has_expired);
  Token incarnation;
  if (session != nullptr && !store_.is_shared()) {
    incarnation = session->incarnation();
  } else {
    const auto answer = store_.Query(key, {});
    if (ReasonOf(answer.status()) != Reason::kStoreCorrupt) {
      if (!answer.ok()) {
        if (session != nullptr) return ForgetIfGone(session, answer.status());
        return Translate(answer.status(), key);
      }
      incarnation = answer->incarnation;
    }
  }
  // A copy that is trusted goes first: nobody may find it after the store has been seen without.
  // Who looks meanwhile waits at the gate.
  if (session != nullptr && !store_.is_shared()) registry_.Forget(session);
  const auto removed = store_.Remove(key, incarnation, Token::Random());
  if (!removed.ok()) return Translate(removed.status(), key);
  if (session != nullptr) registry_.Forget(session);
  // Whether a session of a shared store has ended is not for the copy to say.
  const bool had_ended = has_expired && !store_.is_shared();
  return removed->outcome == StoreOutcome::kDone && !had_ended ? absl::OkStatus()
                                                               : SessionNotFound(key);
}

absl::StatusOr<SessionList> StoreRepository::List(std::string_view after, std::size_t count) {
  SessionList list;
  const std::string tenant(TenantOf(after));
  const std::string prefix = tenant.empty() ? "" : SessionKey(tenant, "");
  list.last = after;
  while (list.sessions.size() + list.corrupt.size() < count) {
    const auto keys =
        store_.List(prefix, list.last, count - list.sessions.size() - list.corrupt.size());
    if (!keys.ok()) return Translate(keys.status(), "");
    if (keys->empty()) break;
    list.last = keys->back();
    for (const std::string& key : *keys) {
      Checkpoint();
      // What is no id nobody can name: no server has written it, and an answer may not hold it.
      const std::string_view id = SessionIdOf(key);
      if (TenantOf(key) != tenant || id.empty() || !CheckSessionId(id).ok()) continue;
      const auto answer = store_.Query(key, {});
      if (IsNotThere(answer.status())) continue;  // Gone meanwhile.
      if (ReasonOf(answer.status()) == Reason::kStoreUnavailable) return answer.status();
      // A listing needs no parameters, and renews nothing.
      const auto image = answer.ok() ? DecodeSession(answer->parts, answer->incarnation)
                                     : absl::StatusOr<SessionImage>(answer.status());
      if (image.ok()) {
        const auto left = std::chrono::duration_cast<WallTime::duration>(answer->left);
        list.sessions.push_back(ViewOf(key, *image, clock_.WallNow() + left));
      } else {
        list.corrupt.push_back(key);
      }
    }
  }
  return list;
}

// --- Changing -------------------------------------------------------------------------------

// Shows what a commit of `next` has made of the session; whether it was made. If not, the session
// was another than `version`.
absl::StatusOr<bool> StoreRepository::Shown(const std::shared_ptr<Session>& session,
                                            const SharedVersion& version, SharedImage next,
                                            Token token,
                                            const absl::StatusOr<StoreResult>& result) {
  if (!result.ok()) {
    Doubt(session, version);  // It may have been made.
    return ForgetIfGone(session, result.status());
  }
  if (result->outcome == StoreOutcome::kAbsent) {
    return ForgetIfGone(session, absl::NotFoundError("the session was removed"));
  }
  if (result->outcome != StoreOutcome::kDone) {
    Doubt(session, version);
    return false;
  }
  session->ShowAfter(version, std::make_shared<const Version>(Version{std::move(next), token}));
  return true;
}

// What is here must be read anew, as a version without a token is. A copy of a shared store is
// asked about anyway.
void StoreRepository::Doubt(const std::shared_ptr<Session>& session,
                            const SharedVersion& version) const {
  if (store_.is_shared()) return;
  session->ShowAfter(version, std::make_shared<const Version>(Version{version->image, {}}));
}

absl::StatusOr<bool> StoreRepository::CommitNext(const std::shared_ptr<Session>& session,
                                                 const SharedVersion& version, SharedImage next) {
  StoreChange change = ChangeBetween(*version->image, *next);
  change.expected = version->token;
  const Token token = change.token;
  const auto result = store_.Commit(session->key(), std::move(change));
  return Shown(session, version, std::move(next), token, result);
}

// The session's changes() are held. ABORTED as Ask.
absl::StatusOr<SharedImage> StoreRepository::ChangeCopy(const std::shared_ptr<Session>& session,
                                                        Next make) {
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    DROPOUTD_ASSIGN_OR_RETURN(const SharedVersion version, UpToDate(session));
    DROPOUTD_ASSIGN_OR_RETURN(SharedImage next, make(version->image));
    // To other servers' late changes one that changes nothing is an answer as any other.
    if (next == version->image && !store_.is_shared()) return next;
    DROPOUTD_ASSIGN_OR_RETURN(const bool is_done, CommitNext(session, version, next));
    if (!is_done) continue;
    Tidy(session->key(), *version->image, *next);
    return next;
  }
  return TooManyChanges();
}

absl::StatusOr<SharedImage> StoreRepository::Change(std::string_view key, Next change) {
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, FindCopy(key));
    const std::lock_guard lock(session->changes());
    auto next = ChangeCopy(session, change);
    if (!absl::IsAborted(next.status())) return next;
  }
  return TooManyChanges();
}

absl::StatusOr<std::uint64_t> StoreRepository::EraseAll(std::string_view key, Token incarnation,
                                                        std::optional<Token> expected,
                                                        const FieldRange& range, std::size_t keep) {
  std::uint64_t count = 0;
  while (true) {
    Checkpoint();
    const auto erased = store_.EraseRange(key, incarnation, expected, range, keep, kFieldsAtOnce);
    if (!erased.ok()) return Translate(erased.status(), key);
    count += *erased;
    if (*erased < kFieldsAtOnce) return count;
  }
}

// A failure leaves what is of no use any more for the session's end.
void StoreRepository::Tidy(std::string_view key, const SessionImage& before,
                           const SessionImage& after) {
  for (const std::uint64_t uid : LayersGone(before, after)) {
    for (const FieldKind kind : {FieldKind::kStep, FieldKind::kConfig, FieldKind::kParameters}) {
      EraseAll(key, after.incarnation, {}, LayerFields(kind, uid), 0).IgnoreError();
    }
  }
  for (const std::uint64_t uid : LayersWithNewParameters(before, after)) {
    EraseAll(key, after.incarnation, {}, LayerFields(FieldKind::kParameters, uid), kParametersKept)
        .IgnoreError();
  }
}

// --- Reading whole --------------------------------------------------------------------------

absl::StatusOr<SessionContents> StoreRepository::Contents(std::string_view key,
                                                          std::size_t max_bytes) {
  DROPOUTD_ASSIGN_OR_RETURN(const FoundSession found, Find(key));  // Renews it.
  auto contents = ReadWhole(key, max_bytes);
  if (!contents.ok()) return ForgetIfGone(found.session, contents.status());
  return contents;
}

absl::StatusOr<SessionContents> StoreRepository::ReadWhole(std::string_view key,
                                                           std::size_t max_bytes) {
  auto snapshot = store_.Snapshot(key);
  if (!snapshot.ok()) return Translate(snapshot.status(), key);
  const StoreAnswer& session = (*snapshot)->session();
  SessionContents contents;
  DROPOUTD_ASSIGN_OR_RETURN(contents.image, DecodeSession(session.parts, session.incarnation));
  FieldCollector fields(max_bytes);
  UseFilter filter(contents.image);
  while (true) {
    Checkpoint();
    auto some = (*snapshot)->Next(kFieldsAtOnce);
    if (!some.ok()) return Translate(some.status(), key);
    if (some->empty()) break;
    for (StoreField& each : *some) {
      DROPOUTD_ASSIGN_OR_RETURN(const bool is_of_use, filter.IsOfUse(each));
      if (!is_of_use) continue;
      DROPOUTD_RETURN_IF_ERROR(fields.Add(std::move(each)));
    }
  }
  contents.fields = fields.Take();
  DROPOUTD_RETURN_IF_ERROR(FillParameters(contents));
  return contents;
}

std::size_t StoreRepository::Sweep() {
  std::size_t count = 0;
  for (const auto& session : registry_.Expired()) {
    if (store_.is_shared()) {
      registry_.Forget(session);
    } else {
      const std::lock_guard gate(GateOf(session->key()));
      // What the store does not hear of now it finds out by itself.
      if (!EndExpired(session).ok()) registry_.Forget(session);
    }
    ++count;
  }
  store_.RemoveExpired().IgnoreError();
  // Nobody tells this server that another one has removed a session that it has a copy of.
  const bool too_much =
      store_.is_shared() || registry_.size() > kCopiesKept || budgets_.over_budget();
  return count + (too_much ? registry_.ForgetIdle(kIdle) : 0);
}

}  // namespace dropoutd
