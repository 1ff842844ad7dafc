// Keeps sessions in a store: finds them there, and writes what happens to them.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_KEEPER_H_
#define DROPOUTD_SERVER_SESSION_SESSION_KEEPER_H_

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/session/clock.h"
#include "server/session/limits.h"
#include "server/session/session.h"
#include "server/session/session_codec.h"
#include "server/session/session_registry.h"
#include "server/store/store.h"

namespace dropoutd {

// A session, and a layer of it as it was at one moment.
struct StepPlace {
  std::shared_ptr<Session> session;
  StoreVersion version = 0;   // Of the session, at that moment,
  std::uint64_t history = 0;  // and the history of the store that it is of.
  LayerSnapshot layer;
};

// What a draw from a session's sequential generator starts from.
struct StreamPlace {
  std::optional<std::string> state;  // Of the stream; nothing: its beginning.
  std::optional<std::string> step;   // The step's record, as the store has it,
  std::optional<StepRecord> record;  // and as it is.
};

// Without a store sessions live in the registry alone. With one, the registry holds copies of those
// that are in use: what the store says counts. Where the store is shared, every call asks it for
// the session's version first, so that no copy is ever stale.
//
// Thread-safe. Errors, beside those named: SESSION_NOT_FOUND, STORE_UNAVAILABLE, STORE_CORRUPT.
class SessionKeeper {
 public:
  // All must outlive it. A null store is none.
  SessionKeeper(SessionRegistry& registry, StepBudget& budget, const Limits& limits,
                const Clock& clock, Store* store)
      : registry_(registry), budget_(budget), limits_(limits), clock_(clock), store_(store) {}

  Store* store() const { return store_; }

  // The session, up to date and renewed.
  absl::StatusOr<std::shared_ptr<Session>> Find(std::string_view key);

  // Adds a new session, or finds the one with its key that `is_same`. `fields`: what a store keeps
  // of it beside its layers. SESSION_EXISTS, QUOTA_SESSIONS.
  absl::StatusOr<std::shared_ptr<Session>> Create(std::shared_ptr<Session> session,
                                                  SessionRegistry::IsSame is_same,
                                                  const std::vector<StoreField>& fields = {});

  // A session with its steps, as it was at one moment. QUOTA_MESSAGE_BYTES for more than
  // `max_bytes`.
  absl::StatusOr<SessionContents> Contents(std::string_view key, std::size_t max_bytes);
  absl::Status Delete(std::string_view key);

  // As SessionRegistry::List.
  absl::StatusOr<std::vector<SessionView>> List(std::string_view after, std::size_t count);

  // Makes `change`, which changes nothing if it fails, here and in the store, or nowhere. It may be
  // called again, on what another server has made of the session meanwhile.
  absl::Status Change(std::string_view key, absl::FunctionRef<absl::Status(Session&)> change);

  // --- Steps ---

  // The layer, with the record of the step at `step_key` if there is one and it `needs_record`.
  // LAYER_NOT_FOUND.
  absl::StatusOr<StepPlace> FindStep(std::string_view key, std::string_view layer_id,
                                     const std::optional<StepKey>& step_key, bool needs_record);

  // Whether a call may begin on a copy that is not known to be up to date: it then writes with
  // WriteRecord, which finds out.
  bool may_be_stale() const { return store_ != nullptr && store_->is_shared(); }

  // The layer as the copy that is here has it.
  absl::StatusOr<StepPlace> FindHere(std::string_view key, std::string_view layer_id,
                                     const std::optional<StepKey>& step_key);

  // Whether a record at the layer's key has room here: QUOTA_STEPS, LAYER_NOT_FOUND.
  absl::Status CheckRoom(const StepPlace& place) const {
    return place.session->CheckRoom(*place.layer.state, *place.layer.key);
  }

  // Writes the record at the layer's key. False, with nothing written, if the copy was stale.
  absl::StatusOr<bool> WriteRecord(const StepPlace& place, StepRecord& record);

  // Begins to write the record at the layer's key; `input`: what its Backward needs, or null. The
  // answer is whether it was written: not if `only_if_absent` and there was one.
  std::future<absl::StatusOr<bool>> StartRecord(const StepPlace& place, StepRecord& record,
                                                const RetainedInput* input, bool only_if_absent);

  // A record's input from the store. Null if it is not there.
  absl::StatusOr<std::shared_ptr<const RetainedInput>> ReadInput(const StepPlace& place);

  // Forgets a step in the store.
  absl::Status Release(const StepPlace& place);

  // Of a layer, or of all: every step up to and including `through`. LAYER_NOT_FOUND.
  absl::StatusOr<std::uint64_t> ReleaseSteps(std::string_view key, std::string_view layer_id,
                                             std::uint64_t through);

  // --- The sequential generator; the session's stream is locked ---

  absl::StatusOr<StreamPlace> ReadStream(const StepPlace& place);

  // Writes the stream's new state and the step whose bits were drawn. ABORTED, with no reason, if
  // another server drew first: then read the stream again.
  absl::Status CommitDraw(const StepPlace& place, const StreamPlace& from, std::string state,
                          StepRecord& record);

  // What the step book forgets at its limit is not forgotten in the store at once: call it after
  // each record.
  void TrimNowAndThen(const StepPlace& place);

  // Removes what has expired, and copies that nobody has used for a while; returns how many.
  std::size_t Sweep();

 private:
  std::string_view KeyOf(const Session& session) const { return session.session_id(); }
  absl::Status Translate(const absl::Status& status, std::string_view key) const;
  absl::Status WhyAborted(const StepPlace& place, absl::Status otherwise) const;
  WallTime StoredExpiry(const Session& session) const;

  absl::StatusOr<std::shared_ptr<Session>> FindHere(std::string_view key);
  absl::StatusOr<std::shared_ptr<Session>> Load(std::string_view key);
  absl::StatusOr<StoreAnswer> QueryAbout(Session& session, StoreQuery query,
                                         std::uint64_t& history);
  absl::StatusOr<StoreAnswer> Ask(std::shared_ptr<Session>& session,
                                  std::vector<std::string> fields, bool& was_stale);
  void EndInOwnStore(const std::shared_ptr<Session>& session);
  std::optional<StoreTime> RenewalDue(const Session& session) const;
  absl::Status RenewIfDue(Session& session);
  absl::Status Reload(Session& session);
  absl::Status Refresh(Session& session, StoreVersion version, std::string_view document);
  absl::StatusOr<ParametersByUid> MissingParameters(std::string_view key, StoreVersion version,
                                                    const SessionImage& image,
                                                    const SessionImage& here);
  absl::StatusOr<SharedParameters> ReadParameters(std::string_view key, StoreVersion version,
                                                  const std::string& name);
  StoreChange ChangeFrom(const Session& session, const SessionImage& before,
                         const SessionImage& after) const;
  void Tidy(std::string_view key, const SessionImage& before, const SessionImage& after);
  absl::Status CheckCount();
  absl::StatusOr<SessionContents> StoredContents(const Session& session, std::size_t max_bytes);

  // `version`: the session's, so that its document does not come along.
  absl::StatusOr<std::optional<std::string>> ReadField(std::string_view key, StoreVersion version,
                                                       const std::string& name);
  absl::StatusOr<std::optional<StepRecord>> RecordFrom(const StepPlace& place, const StepKey& key,
                                                       const DecodedStep& step);
  absl::StatusOr<std::shared_ptr<const RetainedInput>> InputFrom(const StepPlace& place,
                                                                 const DecodedStep& step);
  absl::Status AdoptRecord(StepPlace& place, const std::vector<StoreField>& fields,
                           const std::vector<StepKey>& keys);
  SessionRegistry& registry_;
  StepBudget& budget_;
  const Limits& limits_;
  const Clock& clock_;
  Store* const store_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_KEEPER_H_
