// SessionKeeper's part that is about steps.
#include <shared_mutex>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/dropout/variant.h"
#include "server/session/layer_codec.h"
#include "server/session/random_id.h"
#include "server/session/session_keeper.h"
#include "server/session/stored_step.h"

namespace dropoutd {
namespace {

// A layer's records in the store are counted and trimmed once in so many.
constexpr std::uint32_t kTrimEvery = 1024;

// How often a step is looked for in a session that has changed meanwhile.
constexpr int kMostLooks = 32;

// Where the record of a step may be: at the layer's key, or where an update of what the layer is
// keyed by has left it.
std::vector<StepKey> KeysOf(const LayerSnapshot& layer, const StepKey& asked) {
  std::vector<StepKey> keys = {*layer.key};
  StepKey other = *layer.key;
  other.sequence_id = IsSequenceKeyed(*layer.config) ? 0 : asked.sequence_id;
  if (other != keys.front()) keys.push_back(other);
  return keys;
}

// What tells whether the session's copy has changed since. Its changes() are held.
void SetMoment(StepPlace& place) {
  place.version = place.session->version();
  place.history = place.session->history();
}

bool IsOfThisMoment(const StepPlace& place) {
  const std::shared_lock lock(place.session->changes());
  return place.version == place.session->version() && place.history == place.session->history();
}

}  // namespace

absl::StatusOr<std::optional<std::string>> SessionKeeper::ReadField(std::string_view key,
                                                                    StoreVersion version,
                                                                    const std::string& name) {
  StoreQuery query;
  query.known_version = version;
  query.fields = {name};
  auto answer = store_->Query(key, query);
  if (!answer.ok()) return Translate(answer.status(), key);
  return std::move(answer->fields.front().value);
}

// The record, without an input; nothing if its layer has gone meanwhile.
absl::StatusOr<std::optional<StepRecord>> SessionKeeper::RecordFrom(const StepPlace& place,
                                                                    const StepKey& key,
                                                                    const DecodedStep& step) {
  const LayerSnapshot& layer = place.layer;
  std::shared_ptr<const LayerConfig> config = layer.config;
  if (step.image.revision != layer.revision) {
    DROPOUTD_ASSIGN_OR_RETURN(const auto bytes,
                              ReadField(KeyOf(*place.session), place.session->version(),
                                        ConfigField(layer.state->uid, step.image.revision)));
    if (!bytes.has_value()) return std::nullopt;
    DROPOUTD_ASSIGN_OR_RETURN(LayerConfig read, DecodeLayer(*bytes));
    if (read.layer_id != layer.config->layer_id) {
      return MakeError(Reason::kStoreCorrupt, "the store's record of a layer is another's");
    }
    config = std::make_shared<const LayerConfig>(std::move(read));
  }
  return RecordOf(step, key, std::move(config));
}

// Null if the parameters that were in force are gone.
absl::StatusOr<std::shared_ptr<const RetainedInput>> SessionKeeper::InputFrom(
    const StepPlace& place, const DecodedStep& step) {
  DROPOUTD_ASSIGN_OR_RETURN(
      SharedParameters parameters,
      ReadParameters(KeyOf(*place.session), place.session->version(),
                     ParametersField(place.layer.state->uid, step.image.parameters_version)));
  if (parameters == nullptr) return nullptr;
  return InputOf(step, *place.layer.record, std::move(parameters));
}

// Takes the record that the store has, of those at `keys`, for the place's own.
absl::Status SessionKeeper::AdoptRecord(StepPlace& place, const std::vector<StoreField>& fields,
                                        const std::vector<StepKey>& keys) {
  LayerSnapshot& layer = place.layer;
  const std::optional<StepRecord> here = std::move(layer.record);
  const StepKey here_key = layer.record_key;
  layer.record.reset();
  for (std::size_t i = 0; i < keys.size() && !layer.record.has_value(); ++i) {
    if (!fields[i].value.has_value()) continue;
    layer.record_key = keys[i];
    DROPOUTD_ASSIGN_OR_RETURN(const DecodedStep step, DecodeStep(*fields[i].value));
    if (here.has_value() && here_key == keys[i] && here->nonce == step.image.nonce) {
      layer.record = here;
      return absl::OkStatus();
    }
    DROPOUTD_ASSIGN_OR_RETURN(layer.record, RecordFrom(place, keys[i], step));
    if (!layer.record.has_value()) continue;
    // As Session::Snapshot: the other key counts only for a step that was keyed the other way.
    if (i > 0 && IsSequenceKeyed(*layer.record->config) == IsSequenceKeyed(*layer.config)) {
      layer.record.reset();
      continue;
    }
    if (!step.image.has_input) continue;
    DROPOUTD_ASSIGN_OR_RETURN(layer.retained, InputFrom(place, step));
    // Without its input the step is lost, as one is whose input was evicted.
    if (layer.retained == nullptr) layer.record.reset();
  }
  return absl::OkStatus();
}

absl::StatusOr<StepPlace> SessionKeeper::FindStep(std::string_view key, std::string_view layer_id,
                                                  const std::optional<StepKey>& step_key,
                                                  bool needs_record) {
  StepPlace place;
  if (store_ == nullptr) {
    DROPOUTD_ASSIGN_OR_RETURN(place.session, registry_.Find(key));
    DROPOUTD_ASSIGN_OR_RETURN(place.layer, place.session->Snapshot(layer_id, step_key));
    return place;
  }
  const bool is_shared = store_->is_shared();
  DROPOUTD_ASSIGN_OR_RETURN(place.session, is_shared ? FindHere(key) : Find(key));
  for (int i = 0; i < kMostLooks; ++i) {
    absl::StatusOr<LayerSnapshot> layer;
    {
      const std::shared_lock lock(place.session->changes());
      SetMoment(place);
      layer = place.session->Snapshot(layer_id, step_key);
    }
    if (!is_shared && !layer.ok()) return layer.status();
    const bool wants_record = needs_record && step_key.has_value() && layer.ok() &&
                              (is_shared || !layer->record.has_value());
    if (!is_shared && !wants_record) {
      place.layer = *std::move(layer);
      return place;
    }
    const std::vector<StepKey> keys =
        wants_record ? KeysOf(*layer, *step_key) : std::vector<StepKey>();
    std::vector<std::string> names;
    for (const StepKey& each : keys) names.push_back(StepField(layer->state->uid, each));
    bool was_stale = false;
    DROPOUTD_ASSIGN_OR_RETURN(const StoreAnswer answer,
                              Ask(place.session, std::move(names), was_stale));
    // The layer may be another by now, here or in the store.
    if (was_stale || !IsOfThisMoment(place)) continue;
    DROPOUTD_RETURN_IF_ERROR(layer.status());
    place.layer = *std::move(layer);
    if (wants_record) DROPOUTD_RETURN_IF_ERROR(AdoptRecord(place, answer.fields, keys));
    return place;
  }
  return MakeError(Reason::kStoreUnavailable, "too many changes of the session at once");
}

absl::StatusOr<StepPlace> SessionKeeper::FindHere(std::string_view key, std::string_view layer_id,
                                                  const std::optional<StepKey>& step_key) {
  StepPlace place;
  DROPOUTD_ASSIGN_OR_RETURN(place.session, FindHere(key));
  const std::shared_lock lock(place.session->changes());
  SetMoment(place);
  DROPOUTD_ASSIGN_OR_RETURN(place.layer, place.session->Snapshot(layer_id, step_key));
  return place;
}

absl::StatusOr<bool> SessionKeeper::WriteRecord(const StepPlace& place, StepRecord& record) {
  Session& session = *place.session;
  record.nonce = RandomSeed();
  StoreChange change;
  change.expected_version = place.version;
  change.expected_history = place.history;
  change.conditions = {IncarnationField(session.incarnation())};
  change.writes = {
      {StepField(place.layer.state->uid, *place.layer.key), EncodeRecord(record, nullptr)}};
  change.expire_time = RenewalDue(session);
  const std::optional<StoreTime> expire = change.expire_time;
  const auto committed = store_->Commit(KeyOf(session), std::move(change));
  const absl::StatusCode code = committed.status().code();
  if (code == absl::StatusCode::kAborted || code == absl::StatusCode::kNotFound) return false;
  DROPOUTD_RETURN_IF_ERROR(Translate(committed.status(), KeyOf(session)));
  if (expire.has_value()) session.set_stored_until(*expire);
  return true;
}

std::future<absl::StatusOr<bool>> SessionKeeper::StartRecord(const StepPlace& place,
                                                             StepRecord& record,
                                                             const RetainedInput* input,
                                                             bool only_if_absent) {
  const LayerSnapshot& layer = place.layer;
  const std::uint64_t uid = layer.state->uid;
  const StepKey& at = *layer.key;
  record.nonce = RandomSeed();
  StoreChange change;
  const std::string name = StepField(uid, at);
  change.expected_history = place.history;
  change.conditions = {IncarnationField(place.session->incarnation())};
  if (only_if_absent) change.conditions.push_back({name, std::nullopt});
  change.writes.push_back({name, EncodeRecord(record, input)});
  const auto promise = std::make_shared<std::promise<absl::StatusOr<bool>>>();
  std::future<absl::StatusOr<bool>> written = promise->get_future();
  store_->StartCommit(KeyOf(*place.session), std::move(change),
                      [this, promise, place, only_if_absent](const auto& committed) {
                        const std::string_view key = KeyOf(*place.session);
                        if (committed.ok()) return promise->set_value(true);
                        if (committed.status().code() != absl::StatusCode::kAborted) {
                          return promise->set_value(Translate(committed.status(), key));
                        }
                        const absl::Status why = WhyAborted(place, SessionNotFound(key));
                        // There was a record, or the session is another by now.
                        if (only_if_absent && !absl::IsUnavailable(why))
                          return promise->set_value(false);
                        promise->set_value(why);
                      });
  return written;
}

absl::StatusOr<std::shared_ptr<const RetainedInput>> SessionKeeper::ReadInput(
    const StepPlace& place) {
  DROPOUTD_ASSIGN_OR_RETURN(const auto bytes,
                            ReadField(KeyOf(*place.session), place.session->version(),
                                      StepField(place.layer.state->uid, place.layer.record_key)));
  if (!bytes.has_value()) return nullptr;
  DROPOUTD_ASSIGN_OR_RETURN(const DecodedStep step, DecodeStep(*bytes));
  // Another Forward of the step may have come between.
  const bool is_same = step.image.nonce == place.layer.record->nonce && step.image.has_input;
  return is_same ? InputFrom(place, step) : nullptr;
}

absl::Status SessionKeeper::Release(const StepPlace& place) {
  StoreChange change;
  change.conditions = {IncarnationField(place.session->incarnation())};
  change.writes = {{StepField(place.layer.state->uid, place.layer.record_key), std::nullopt}};
  const auto committed = store_->Commit(KeyOf(*place.session), std::move(change));
  if (committed.status().code() == absl::StatusCode::kAborted) return absl::OkStatus();
  return Translate(committed.status(), KeyOf(*place.session));
}

absl::StatusOr<std::uint64_t> SessionKeeper::ReleaseSteps(std::string_view key,
                                                          std::string_view layer_id,
                                                          std::uint64_t through) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, Find(key));
  if (store_ == nullptr) return session->ReleaseSteps(layer_id, through);
  DROPOUTD_ASSIGN_OR_RETURN(const auto uids, session->LayerUids(layer_id));
  std::uint64_t count = 0;
  for (const std::uint64_t uid : uids) {
    const auto erased = store_->EraseRange(key, StepFieldsThrough(uid, through), 0);
    if (!erased.ok()) return Translate(erased.status(), key);
    count += *erased;
  }
  DROPOUTD_RETURN_IF_ERROR(session->ReleaseSteps(layer_id, through).status());
  return count;
}

absl::StatusOr<StreamPlace> SessionKeeper::ReadStream(const StepPlace& place) {
  const std::string_view key = KeyOf(*place.session);
  StoreQuery query;
  query.known_version = place.session->version();
  query.fields = {StreamField(), StepField(place.layer.state->uid, *place.layer.key)};
  auto answer = store_->Query(key, query);
  if (!answer.ok()) return Translate(answer.status(), key);
  StreamPlace stream;
  stream.state = std::move(answer->fields[0].value);
  stream.step = std::move(answer->fields[1].value);
  if (stream.step.has_value()) {
    DROPOUTD_ASSIGN_OR_RETURN(const DecodedStep step, DecodeStep(*stream.step));
    DROPOUTD_ASSIGN_OR_RETURN(stream.record, RecordFrom(place, *place.layer.key, step));
  }
  return stream;
}

// Why a change was aborted: the store's history is another than that which the place is of, or
// `otherwise`.
absl::Status SessionKeeper::WhyAborted(const StepPlace& place, absl::Status otherwise) const {
  if (store_->history() == place.history) return otherwise;
  return MakeError(Reason::kStoreUnavailable, "another store has taken over during the call");
}

absl::Status SessionKeeper::CommitDraw(const StepPlace& place, const StreamPlace& from,
                                       std::string state, StepRecord& record) {
  const std::uint64_t uid = place.layer.state->uid;
  const StepKey& at = *place.layer.key;
  const std::string step = StepField(uid, at);
  record.nonce = RandomSeed();
  StoreChange change;
  change.expected_history = place.history;
  change.conditions = {IncarnationField(place.session->incarnation()),
                       {StreamField(), from.state},
                       {step, from.step}};
  change.writes = {{StreamField(), std::move(state)}, {step, EncodeRecord(record, nullptr)}};
  const auto committed = store_->Commit(KeyOf(*place.session), std::move(change));
  if (committed.status().code() == absl::StatusCode::kAborted) {
    return WhyAborted(place, committed.status());
  }
  return Translate(committed.status(), KeyOf(*place.session));
}

void SessionKeeper::TrimNowAndThen(const StepPlace& place) {
  LayerState& layer = *place.layer.state;
  if ((layer.stored_steps.fetch_add(1) + 1) % kTrimEvery != 0) return;
  // A failure is the next call's to find.
  static_cast<void>(store_->EraseRange(KeyOf(*place.session),
                                       LayerFields(FieldKind::kStep, layer.uid),
                                       limits_.max_steps_per_layer));
}

}  // namespace dropoutd
