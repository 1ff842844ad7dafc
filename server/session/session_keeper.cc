#include "server/session/session_keeper.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/base/status_macros.h"
#include "server/session/layer_codec.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

// Older parameters stay for Backwards of steps that ran before the last updates.
constexpr std::size_t kParameterVersionsKept = 8;

// How often a change is tried against those of other servers.
constexpr int kMostTries = 32;

// A copy that nobody has used for so long is dropped, if there are many.
constexpr Nanoseconds kIdle = std::chrono::minutes(1);
constexpr std::size_t kCopiesKept = 1000;

// A store hears of renewals once in so many parts of the ttl.
constexpr int kRenewals = 8;

bool IsNotThere(const absl::Status& status) {
  return status.code() == absl::StatusCode::kNotFound && !ReasonOf(status).has_value();
}

}  // namespace

absl::Status SessionKeeper::Translate(const absl::Status& status, std::string_view key) const {
  if (status.ok() || ReasonOf(status).has_value()) return status;
  if (IsNotThere(status)) return SessionNotFound(key);
  return MakeError(Reason::kStoreUnavailable, "the store did not take part in the call");
}

WallTime SessionKeeper::StoredExpiry(const Session& session) const {
  return clock_.WallNow() +
         std::chrono::duration_cast<WallTime::duration>(session.ttl() + session.ttl() / kRenewals);
}

// The copy that is here, made if need be. It may be stale.
absl::StatusOr<std::shared_ptr<Session>> SessionKeeper::FindHere(std::string_view key) {
  bool has_expired = false;
  auto session = registry_.Renew(key, has_expired);
  if (session != nullptr && !has_expired) return session;
  if (has_expired && !store_->is_shared()) {
    EndInOwnStore(session);
    return SessionNotFound(key);
  }
  return Load(key);
}

absl::StatusOr<std::shared_ptr<Session>> SessionKeeper::Load(std::string_view key) {
  const std::uint64_t history = store_->history();  // At worst it is asked for again.
  StoreQuery query;
  query.fields = {IncarnationField(0).name};
  const auto answer = store_->Query(key, query);
  if (!answer.ok()) return Translate(answer.status(), key);
  DROPOUTD_ASSIGN_OR_RETURN(const SessionImage image, DecodeSession(*answer->document));
  // Both were written at once. Of two that differ one copy after another would count as stale.
  if (answer->fields.front().value != IncarnationField(image.incarnation).value) {
    return MakeError(Reason::kStoreCorrupt, "the store's records of the session disagree");
  }
  DROPOUTD_ASSIGN_OR_RETURN(const ParametersByUid parameters,
                            MissingParameters(key, answer->version, image, {}));
  DROPOUTD_ASSIGN_OR_RETURN(
      std::shared_ptr<Session> session,
      Session::FromImage(key, image, parameters, limits_.max_layers_per_session, budget_, clock_));
  session->set_version(answer->version);
  session->set_history(history);
  session->set_stored_until(answer->expire_time);
  return registry_.Adopt(std::move(session));
}

// The store's answer about a session, with the document unless the copy's version is the store's,
// and the history that it is of.
absl::StatusOr<StoreAnswer> SessionKeeper::QueryAbout(Session& session, StoreQuery query,
                                                      std::uint64_t& history) {
  while (true) {
    history = store_->history();
    if (session.history() != history) {
      const std::unique_lock lock(session.changes());
      session.set_version(0);
      session.set_history(history);
    }
    query.known_version = session.version();
    auto answer = store_->Query(KeyOf(session), query);
    // The call may have been the first to meet another history.
    if (store_->history() == history) return answer;
  }
}

// Asks the store for fields, renewing the session, and brings the copy up to date, or replaces it
// by the session that has its key now; `was_stale` says whether it was not.
absl::StatusOr<StoreAnswer> SessionKeeper::Ask(std::shared_ptr<Session>& session,
                                               std::vector<std::string> fields, bool& was_stale) {
  const StoreField mine = IncarnationField(session->incarnation());
  StoreQuery query;
  query.fields = std::move(fields);
  query.fields.push_back(mine.name);
  query.expire_time = RenewalDue(*session);
  std::uint64_t history = 0;
  auto answer = QueryAbout(*session, query, history);
  if (!answer.ok()) {
    if (IsNotThere(answer.status())) registry_.Forget(session);
    return Translate(answer.status(), KeyOf(*session));
  }
  session->set_stored_until(answer->expire_time);
  if (answer->fields.back().value != mine.value) {
    was_stale = true;
    registry_.Forget(session);
    DROPOUTD_ASSIGN_OR_RETURN(session, Load(KeyOf(*session)));
    return answer;
  }
  was_stale = answer->document.has_value();
  if (!was_stale) return answer;
  {
    const std::unique_lock lock(session->changes());
    if (session->history() == history) {
      DROPOUTD_RETURN_IF_ERROR(Refresh(*session, answer->version, *answer->document));
      return answer;
    }
  }
  // Another call has met a later history meanwhile.
  query.fields.pop_back();
  return Ask(session, std::move(query.fields), was_stale);
}

// Until when the store should keep the session, if it does not keep it long enough.
std::optional<StoreTime> SessionKeeper::RenewalDue(const Session& session) const {
  const WallTime ends =
      clock_.WallNow() + std::chrono::duration_cast<WallTime::duration>(session.ttl());
  if (ends <= session.stored_until()) return std::nullopt;
  return StoredExpiry(session);
}

absl::Status SessionKeeper::RenewIfDue(Session& session) {
  StoreQuery query;
  query.known_version = session.version();
  query.expire_time = RenewalDue(session);
  if (!query.expire_time.has_value()) return absl::OkStatus();
  const auto answer = store_->Query(KeyOf(session), query);
  if (!answer.ok()) return Translate(answer.status(), KeyOf(session));
  session.set_stored_until(answer->expire_time);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Session>> SessionKeeper::Find(std::string_view key) {
  if (store_ == nullptr) return registry_.Find(key);
  DROPOUTD_ASSIGN_OR_RETURN(std::shared_ptr<Session> session, FindHere(key));
  if (store_->is_shared() || session->version() == 0) {
    bool was_stale = false;
    DROPOUTD_RETURN_IF_ERROR(Ask(session, {}, was_stale).status());
  } else {
    DROPOUTD_RETURN_IF_ERROR(RenewIfDue(*session));
  }
  return session;
}

// Session's changes() are held.
absl::Status SessionKeeper::Refresh(Session& session, StoreVersion version,
                                    std::string_view document) {
  // Another thread may have been here, with a later answer.
  if (session.version() != 0 && version <= session.version()) return absl::OkStatus();
  DROPOUTD_ASSIGN_OR_RETURN(const SessionImage image, DecodeSession(document));
  if (image.incarnation != session.incarnation()) return SessionNotFound(KeyOf(session));
  // A copy of no version may be of another history: of that nothing counts.
  const SessionImage here = session.version() != 0 ? session.Image() : SessionImage();
  DROPOUTD_ASSIGN_OR_RETURN(const ParametersByUid parameters,
                            MissingParameters(KeyOf(session), version, image, here));
  session.set_version(0);  // Should the copy be left half done.
  DROPOUTD_RETURN_IF_ERROR(session.Restore(image, parameters));
  session.set_version(version);
  return absl::OkStatus();
}

// Session's changes() are held.
absl::Status SessionKeeper::Reload(Session& session) {
  const std::uint64_t history = store_->history();  // At worst it is reloaded again.
  const auto answer = store_->Query(KeyOf(session), {});
  if (!answer.ok()) return Translate(answer.status(), KeyOf(session));
  session.set_version(0);
  session.set_history(history);
  return Refresh(session, answer->version, *answer->document);
}

absl::StatusOr<SharedParameters> SessionKeeper::ReadParameters(std::string_view key,
                                                               StoreVersion version,
                                                               const std::string& name) {
  DROPOUTD_ASSIGN_OR_RETURN(const auto bytes, ReadField(key, version, name));
  if (!bytes.has_value()) return SharedParameters();
  DROPOUTD_ASSIGN_OR_RETURN(Parameters parameters, DecodeParameters(*bytes));
  return std::make_shared<const Parameters>(std::move(parameters));
}

// The parameters of `image` that `here` does not have.
absl::StatusOr<ParametersByUid> SessionKeeper::MissingParameters(std::string_view key,
                                                                 StoreVersion version,
                                                                 const SessionImage& image,
                                                                 const SessionImage& here) {
  ParametersByUid read;
  for (const LayerImage& layer : image.layers) {
    const bool is_here =
        std::any_of(here.layers.begin(), here.layers.end(), [&](const LayerImage& each) {
          return each.uid == layer.uid && each.parameters_version == layer.parameters_version;
        });
    if (layer.parameters_version == 0 || is_here) continue;
    DROPOUTD_ASSIGN_OR_RETURN(
        SharedParameters parameters,
        ReadParameters(key, version, ParametersField(layer.uid, layer.parameters_version)));
    if (parameters == nullptr) {
      return MakeError(Reason::kStoreCorrupt, "the store has lost a layer's parameters");
    }
    read[layer.uid] = std::move(parameters);
  }
  return read;
}

// The document, and the fields that it refers to and that were not there before.
StoreChange SessionKeeper::ChangeFrom(const Session& session, const SessionImage& before,
                                      const SessionImage& after) const {
  StoreChange change;
  change.document = EncodeSession(after);
  const ParametersByUid parameters = session.AllParameters();
  for (const LayerImage& layer : after.layers) {
    const auto was = std::find_if(before.layers.begin(), before.layers.end(),
                                  [&](const LayerImage& each) { return each.uid == layer.uid; });
    const bool is_new = was == before.layers.end();
    if (is_new || was->revision != layer.revision) {
      change.writes.push_back({ConfigField(layer.uid, layer.revision), EncodeLayer(layer.config)});
    }
    if (layer.parameters_version != 0 &&
        (is_new || was->parameters_version != layer.parameters_version)) {
      change.writes.push_back({ParametersField(layer.uid, layer.parameters_version),
                               EncodeParameters(*parameters.at(layer.uid))});
    }
  }
  return change;
}

absl::Status SessionKeeper::Change(std::string_view key,
                                   absl::FunctionRef<absl::Status(Session&)> change) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, Find(key));
  if (store_ == nullptr) return change(*session);
  const std::unique_lock lock(session->changes());
  for (int i = 0; i < kMostTries; ++i) {
    if (session->version() == 0) DROPOUTD_RETURN_IF_ERROR(Reload(*session));
    const SessionImage before = session->Image();
    const ParametersByUid parameters = session->AllParameters();
    DROPOUTD_RETURN_IF_ERROR(change(*session));
    const SessionImage after = session->Image();
    if (after == before) return absl::OkStatus();
    StoreChange stored = ChangeFrom(*session, before, after);
    stored.expected_version = session->version();
    stored.expected_history = session->history();
    stored.conditions = {IncarnationField(session->incarnation())};
    const auto committed = store_->Commit(key, std::move(stored));
    if (committed.ok()) {
      session->set_version(*committed);
      Tidy(key, before, after);
      return absl::OkStatus();
    }
    session->set_version(0);  // Whatever became of it: the store is asked before the next call.
    if (committed.status().code() != absl::StatusCode::kAborted) {
      DROPOUTD_RETURN_IF_ERROR(session->Restore(before, parameters));
      return Translate(committed.status(), key);
    }
    DROPOUTD_RETURN_IF_ERROR(Reload(*session));
  }
  return MakeError(Reason::kStoreUnavailable, "too many changes of the session at once");
}

// Erases what a change has left without a use. A failure leaves it for the session's end.
void SessionKeeper::Tidy(std::string_view key, const SessionImage& before,
                         const SessionImage& after) {
  for (const LayerImage& layer : before.layers) {
    const auto now = std::find_if(after.layers.begin(), after.layers.end(),
                                  [&](const LayerImage& each) { return each.uid == layer.uid; });
    if (now == after.layers.end()) {
      for (const FieldKind kind : {FieldKind::kStep, FieldKind::kConfig, FieldKind::kParameters}) {
        static_cast<void>(store_->EraseRange(key, LayerFields(kind, layer.uid), 0));
      }
    } else if (now->parameters_version != layer.parameters_version) {
      static_cast<void>(store_->EraseRange(key, LayerFields(FieldKind::kParameters, layer.uid),
                                           kParameterVersionsKept));
    }
  }
}

absl::Status SessionKeeper::CheckCount() {
  const auto count = store_->Count();
  if (!count.ok()) return Translate(count.status(), "");
  if (*count < limits_.max_sessions) return absl::OkStatus();
  return MakeError(Reason::kQuotaSessions,
                   absl::StrCat("the store holds ", *count, " sessions, the most allowed is ",
                                limits_.max_sessions));
}

absl::StatusOr<std::shared_ptr<Session>> SessionKeeper::Create(
    std::shared_ptr<Session> session, SessionRegistry::IsSame is_same,
    const std::vector<StoreField>& fields) {
  if (store_ == nullptr) return registry_.Add(std::move(session), is_same);
  const std::string key = session->session_id();
  for (int i = 0; i < kMostTries; ++i) {
    const auto found = Find(key);
    if (found.ok()) {
      if (is_same(**found)) return found;
      return MakeError(Reason::kSessionExists, absl::StrCat("session_id: ", Quote(SessionIdOf(key)),
                                                            " is taken by another session"));
    }
    if (ReasonOf(found.status()) != Reason::kSessionNotFound) return found.status();
    DROPOUTD_RETURN_IF_ERROR(CheckCount());
    StoreChange change = ChangeFrom(*session, {}, session->Image());
    change.expected_version = 0;
    change.writes.push_back(IncarnationField(session->incarnation()));
    change.writes.insert(change.writes.end(), fields.begin(), fields.end());
    change.expire_time = StoredExpiry(*session);
    const WallTime until = *change.expire_time;
    const std::uint64_t history = store_->history();
    const auto committed = store_->Commit(key, std::move(change));
    if (committed.ok()) {
      session->set_version(*committed);
      session->set_history(history);
      session->set_stored_until(until);
      registry_.Replace(session);
      return session;
    }
    // Made meanwhile: by this call's own first attempt, perhaps.
    if (committed.status().code() != absl::StatusCode::kAborted) {
      return Translate(committed.status(), key);
    }
  }
  return MakeError(Reason::kStoreUnavailable, "the session comes and goes");
}

absl::Status SessionKeeper::Delete(std::string_view key) {
  if (store_ == nullptr) return registry_.Remove(key);
  const absl::Status removed = store_->Remove(key);
  if (removed.ok() || IsNotThere(removed)) static_cast<void>(registry_.Remove(key));
  return Translate(removed, key);
}

absl::StatusOr<std::vector<SessionView>> SessionKeeper::List(std::string_view after,
                                                             std::size_t count) {
  std::vector<SessionView> views;
  if (store_ == nullptr) {
    for (const auto& session : registry_.List(after, count)) views.push_back(session->View());
    return views;
  }
  const std::string tenant(TenantOf(after));
  const std::string prefix = tenant.empty() ? "" : SessionKey(tenant, "");
  std::string last(after);
  while (views.size() < count) {
    const auto keys = store_->List(prefix, last, count - views.size());
    if (!keys.ok()) return Translate(keys.status(), "");
    if (keys->empty()) break;
    last = keys->back();
    for (const std::string& key : *keys) {
      if (TenantOf(key) != tenant) continue;
      const auto answer = store_->Query(key, {});
      if (IsNotThere(answer.status())) continue;  // Gone meanwhile.
      if (!answer.ok()) return Translate(answer.status(), key);
      DROPOUTD_ASSIGN_OR_RETURN(const SessionImage image, DecodeSession(*answer->document));
      // A listing needs no parameters, and renews nothing.
      views.push_back(ViewOf(key, image, answer->expire_time));
    }
  }
  return views;
}

// Of a store that is this server's own the registry knows better when a session ends. The store
// hears of it while the expired copy is still here, which refuses every call: one that came between
// would find the session in the store and renew it, and be told so, and then lose it.
void SessionKeeper::EndInOwnStore(const std::shared_ptr<Session>& session) {
  StoreChange change;
  // Unless another session has its key by now.
  change.conditions = {IncarnationField(session->incarnation())};
  change.expire_time = clock_.WallNow() - std::chrono::seconds(1);
  static_cast<void>(store_->Commit(KeyOf(*session), std::move(change)));
  registry_.Forget(session);
}

std::size_t SessionKeeper::Sweep() {
  std::vector<std::shared_ptr<Session>> expired;
  if (store_ != nullptr && !store_->is_shared()) {
    expired = registry_.Expired();
    for (const auto& session : expired) EndInOwnStore(session);
  } else {
    expired = registry_.TakeExpired();
    for (const auto& session : expired) session->End();
  }
  if (store_ == nullptr) return expired.size();
  static_cast<void>(store_->RemoveExpired());
  if (registry_.size() <= kCopiesKept) return expired.size();
  // The store keeps the end that it has: the copy's, or up to an eighth of the ttl later. To write
  // the copy's end back would shorten the life of a session that a call has found in the store
  // meanwhile.
  return expired.size() + registry_.TakeIdle(kIdle).size();
}

}  // namespace dropoutd
