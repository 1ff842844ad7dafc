// StoreRepository's part that finds sessions, and what they are by now.
#include <functional>
#include <mutex>
#include <utility>

#include "server/base/error.h"
#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/store_limits.h"
#include "server/persistence/store_repository.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

// What the changed layers keep of those before them.
void KeepParameters(const SessionImage& before, SessionImage& image) {
  for (auto& [id, layer] : image.layers) {
    const auto was = before.layers.find(id);
    if (was == before.layers.end() || layer->parameters != nullptr || !layer->parameters_id ||
        was->second->uid != layer->uid || was->second->parameters_id != layer->parameters_id) {
      continue;
    }
    auto with = std::make_shared<LayerImage>(*layer);
    with->parameters = was->second->parameters;
    layer = std::move(with);
  }
}

}  // namespace

absl::Status StoreRepository::Translate(const absl::Status& status, std::string_view key) const {
  if (status.ok() || ReasonOf(status).has_value()) return status;
  if (IsNotThere(status)) return SessionNotFound(key);
  return MakeError(Reason::kStoreUnavailable, "the store did not take part in the call");
}

SlowMutex& StoreRepository::GateOf(std::string_view key) {
  return gates_[std::hash<std::string_view>()(key) % gates_.size()];
}

// A copy that the store has lost, or has found to be damaged, serves nobody any more.
absl::Status StoreRepository::ForgetIfGone(const std::shared_ptr<Session>& session,
                                           const absl::Status& status) {
  if (IsNotThere(status) || ReasonOf(status) == Reason::kStoreCorrupt) registry_.Forget(session);
  return Translate(status, session->key());
}

// Of a store of this server's own the copy knows better when a session ends. The store hears of it
// while the expired copy is still here: a call that came between would find the session there.
absl::Status StoreRepository::EndExpired(const std::shared_ptr<Session>& session) {
  const auto removed = store_.Remove(session->key(), session->incarnation(), Token::Random());
  if (!removed.ok()) return Translate(removed.status(), session->key());
  registry_.Forget(session);
  return absl::OkStatus();
}

// The copy that is here, made if need be. It may be stale.
absl::StatusOr<std::shared_ptr<Session>> StoreRepository::FindCopy(std::string_view key) {
  bool has_expired = false;
  auto session = registry_.Renew(key, has_expired);
  if (session != nullptr && !has_expired) return session;
  return Load(key);
}

absl::StatusOr<std::shared_ptr<Session>> StoreRepository::Load(std::string_view key) {
  const std::lock_guard gate(GateOf(key));
  return LoadLocked(key);
}

absl::StatusOr<std::shared_ptr<Session>> StoreRepository::LoadLocked(std::string_view key) {
  bool has_expired = false;
  auto here = registry_.Renew(key, has_expired);
  if (here != nullptr && !has_expired) return here;
  if (has_expired && !store_.is_shared()) {
    DROPOUTD_RETURN_IF_ERROR(EndExpired(here));
    return SessionNotFound(key);
  }
  const SteadyTime now = clock_.Now();
  auto answer = store_.Query(key, {});
  if (!answer.ok()) return Translate(answer.status(), key);
  if (IsFormat1(answer->parts)) {
    DROPOUTD_ASSIGN_OR_RETURN(answer, Upgrade(key, *std::move(answer)));
  }
  DROPOUTD_ASSIGN_OR_RETURN(SharedVersion version, VersionOf(key, *answer, nullptr));
  auto session = std::make_shared<Session>(std::string(key), std::move(version), budgets_, now);
  session->ExtendStoredUntil(now + answer->left);
  return registry_.Add(std::move(session));
}

// Writes a session of format 1 anew, so that it is read as any other from then on.
absl::StatusOr<StoreAnswer> StoreRepository::Upgrade(std::string_view key, StoreAnswer answer) {
  DROPOUTD_ASSIGN_OR_RETURN(const SessionImage image,
                            DecodeSession(answer.parts, answer.incarnation));
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = answer.incarnation;
  change.expected = answer.token;
  change.parts = EncodeSession(image);
  change.parts.push_back({DocumentPartName(), std::nullopt});
  const auto result = store_.Commit(key, std::move(change));
  if (!result.ok()) return Translate(result.status(), key);
  auto anew = store_.Query(key, {});  // Another server may have been first.
  if (!anew.ok()) return Translate(anew.status(), key);
  return anew;
}

// The version that the store has answered; `before`: the one that it was asked with, or null.
absl::StatusOr<SharedVersion> StoreRepository::VersionOf(std::string_view key,
                                                         const StoreAnswer& answer,
                                                         const SharedVersion& before) {
  if (!answer.token || !answer.incarnation || (!answer.is_whole && before == nullptr)) {
    return MakeError(Reason::kStoreCorrupt, "the store's record of a session is damaged");
  }
  SessionImage image;
  if (answer.is_whole) {
    DROPOUTD_ASSIGN_OR_RETURN(image, DecodeSession(answer.parts, answer.incarnation));
    if (before != nullptr) KeepParameters(*before->image, image);
  } else {
    DROPOUTD_ASSIGN_OR_RETURN(image, Refresh(*before->image, answer.parts));
  }
  DROPOUTD_RETURN_IF_ERROR(ReadParameters(key, answer.token, image));
  DROPOUTD_RETURN_IF_ERROR(CheckWhole(image));
  return std::make_shared<const Version>(
      Version{std::make_shared<const SessionImage>(std::move(image)), answer.token});
}

// Those of the image's layers that have none yet.
absl::Status StoreRepository::ReadParameters(std::string_view key, Token token,
                                             SessionImage& image) {
  StoreQuery query;
  query.known = token;
  std::vector<SharedLayer*> layers;
  for (auto& [id, layer] : image.layers) {
    if (!layer->parameters_id || layer->parameters != nullptr) continue;
    layers.push_back(&layer);
    query.fields.push_back(ParametersField(layer->uid, layer->parameters_id));
  }
  if (layers.empty()) return absl::OkStatus();
  const auto answer = store_.Query(key, query);
  if (!answer.ok()) return Translate(answer.status(), key);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!answer->fields[i].value.has_value()) {
      if (answer->token != token) {
        return MakeError(Reason::kStoreUnavailable, "the session changes too fast to be read");
      }
      return MakeError(Reason::kStoreCorrupt, "the store has lost a layer's parameters");
    }
    auto layer = std::make_shared<LayerImage>(**layers[i]);
    DROPOUTD_ASSIGN_OR_RETURN(Parameters read, DecodeParameters(*answer->fields[i].value));
    DROPOUTD_ASSIGN_OR_RETURN(
        layer->parameters, budgets_.ChargeParameters(*budgets_.Open(TenantOf(key)), std::move(read),
                                                     /*may_refuse=*/false, nullptr));
    *layers[i] = std::move(layer);
  }
  return absl::OkStatus();
}

// For how long the store should keep the session, if it does not keep it long enough.
std::optional<Nanoseconds> StoreRepository::RenewalDue(const Session& session) const {
  if (clock_.Now() + session.ttl() <= session.stored_until()) return std::nullopt;
  return StoredTtl(session.ttl());
}

// Asks the store for fields and renews the session. ABORTED, with no reason, if another session
// has its key by now: its copy was dropped.
absl::StatusOr<StoreRepository::Asked> StoreRepository::Ask(const std::shared_ptr<Session>& session,
                                                            const SharedVersion& version,
                                                            std::vector<std::string> fields) {
  StoreQuery query;
  query.known = version->token;
  query.fields = std::move(fields);
  query.ttl = RenewalDue(*session);
  const SteadyTime now = clock_.Now();
  auto answer = store_.Query(session->key(), query);
  if (!answer.ok()) return ForgetIfGone(session, answer.status());
  session->ExtendStoredUntil(now + answer->left);
  if (answer->incarnation != session->incarnation()) {
    registry_.Forget(session);
    return absl::AbortedError("another session has the key");
  }
  Asked asked{version, std::move(answer->fields)};
  if (answer->token == version->token) return asked;
  auto next = VersionOf(session->key(), *answer, version);
  if (!next.ok()) return ForgetIfGone(session, next.status());
  asked.version = *std::move(next);
  session->ShowAfter(version, asked.version);
  return asked;
}

// The version of now. ABORTED as Ask.
absl::StatusOr<SharedVersion> StoreRepository::UpToDate(const std::shared_ptr<Session>& session) {
  SharedVersion version = session->version();
  if (!store_.is_shared() && version->token && !RenewalDue(*session).has_value()) return version;
  DROPOUTD_ASSIGN_OR_RETURN(Asked asked, Ask(session, version, {}));
  return std::move(asked.version);
}

// The same; SESSION_NOT_FOUND if it is another's turn.
absl::StatusOr<SharedVersion> StoreRepository::UpToDateOrGone(
    const std::shared_ptr<Session>& session) {
  auto version = UpToDate(session);
  if (absl::IsAborted(version.status())) return SessionNotFound(session->key());
  return version;
}

absl::StatusOr<FoundSession> StoreRepository::Find(std::string_view key) {
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    DROPOUTD_ASSIGN_OR_RETURN(std::shared_ptr<Session> session, FindCopy(key));
    auto version = UpToDate(session);
    if (version.ok()) return FoundSession{std::move(session), *std::move(version)};
    if (!absl::IsAborted(version.status())) return version.status();
  }
  return TooManyChanges();
}

}  // namespace dropoutd
