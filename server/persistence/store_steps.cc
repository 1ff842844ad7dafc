// StoreRepository's part that is about steps.
#include <algorithm>
#include <mutex>
#include <utility>

#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/dropout/variant.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/step_codec.h"
#include "server/persistence/store_limits.h"
#include "server/persistence/store_repository.h"
#include "server/persistence/stored_write.h"
#include "server/session/quota_terms.h"
#include "server/session/session_changes.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

// A layer's records in the store are counted and trimmed once in so many.
constexpr std::uint32_t kTrimEvery = 1024;

// Where the record of a step may be: at the layer's key, or where an update of what the layer is
// keyed by has left it.
std::vector<StepKey> KeysOf(const LayerSnapshot& layer, const StepKey& asked) {
  std::vector<StepKey> keys = {*layer.key};
  StepKey other = *layer.key;
  other.sequence_id = IsSequenceKeyed(*layer.config()) ? 0 : asked.sequence_id;
  if (other != keys.front()) keys.push_back(other);
  return keys;
}

std::vector<std::string> NamesOf(const LayerSnapshot& layer, const std::vector<StepKey>& keys) {
  std::vector<std::string> names;
  for (const StepKey& key : keys) names.push_back(StepField(layer.image->uid, key));
  return names;
}

bool IsReleasing(const LayerImage& layer, const std::optional<StepKey>& step) {
  return step.has_value() && layer.releasing.has_value() && step->step <= *layer.releasing;
}

// Whether the record that is here has all that a Backward needs.
bool IsWholeHere(const LayerSnapshot& layer) {
  if (layer.record == nullptr) return false;
  const StepRecord& record = *layer.record;
  if (record.input && record.input.Get() == nullptr) return false;
  return !IsSequential(record.config->generator) || record.pinned != nullptr ||
         record.mode != Mode::kTrain || record.mask.Get() != nullptr;
}

// Whether the store could name no other record. Where an update has left one at another key, the
// store may have one that comes before it.
bool IsFirstHere(const LayerSnapshot& layer) {
  return layer.record_key == *layer.key && IsWholeHere(layer);
}

}  // namespace

// --- Finding --------------------------------------------------------------------------------

absl::StatusOr<std::optional<std::string>> StoreRepository::ReadField(const StepPlace& place,
                                                                      const std::string& name) {
  StoreQuery query;
  query.known = place.version->token;
  query.fields = {name};
  auto answer = store_.Query(place.session->key(), query);
  if (!answer.ok()) return ForgetIfGone(place.session, answer.status());
  if (answer->incarnation != place.session->incarnation()) return std::nullopt;
  return std::move(answer->fields.front().value);
}

// What the place's record cannot do without. ABORTED, with no reason, if it is gone with the
// session as the place has it: then the record has to be looked for again.
absl::StatusOr<std::optional<std::string>> StoreRepository::ReadNeeded(const StepPlace& place,
                                                                       const std::string& name) {
  StoreQuery query;
  query.known = place.version->token;
  query.fields = {name};
  auto answer = store_.Query(place.session->key(), query);
  if (!answer.ok()) return ForgetIfGone(place.session, answer.status());
  const bool is_another = answer->incarnation != place.session->incarnation();
  std::optional<std::string>& value = answer->fields.front().value;
  if (is_another || (!value.has_value() && answer->token != place.version->token)) {
    return absl::AbortedError("the session has changed");
  }
  return std::move(value);
}

// Null if they are gone.
absl::StatusOr<SharedParameters> StoreRepository::ParametersOf(const StepPlace& place,
                                                               const std::string& field) {
  DROPOUTD_ASSIGN_OR_RETURN(const auto bytes, ReadNeeded(place, field));
  if (!bytes.has_value()) return SharedParameters();
  DROPOUTD_ASSIGN_OR_RETURN(Parameters parameters, DecodeParameters(*bytes));
  return std::make_shared<const Parameters>(std::move(parameters));
}

// The record of a field, and its input; null if what it needs is gone, and with it the step.
absl::StatusOr<SharedRecord> StoreRepository::RecordFrom(
    const StepPlace& place, const StepKey& key, const StoreField& field,
    std::shared_ptr<const RetainedInput>& input) {
  const LayerImage& layer = *place.layer.image;
  DROPOUTD_ASSIGN_OR_RETURN(const DecodedStep step, DecodeStep(*field.value));
  std::optional<std::string> config;
  if (const auto name = ConfigFieldOf(step, layer); name.has_value()) {
    DROPOUTD_ASSIGN_OR_RETURN(config, ReadNeeded(place, *name));
    if (!config.has_value()) return nullptr;
  }
  DROPOUTD_ASSIGN_OR_RETURN(
      StepRecord record,
      RecordOf(step, key, layer, field.token, config.has_value() ? *config : std::string_view()));
  if (step.input.has_value()) {
    SharedParameters parameters = place.layer.parameters;
    if (const auto name = ParametersFieldOf(step, layer); name.has_value()) {
      DROPOUTD_ASSIGN_OR_RETURN(parameters, ParametersOf(place, *name));
    }
    if (parameters == nullptr) return nullptr;
    DROPOUTD_ASSIGN_OR_RETURN(input, InputOf(step, record, std::move(parameters)));
  }
  return std::make_shared<const StepRecord>(std::move(record));
}

// Takes the record that the store has, of those at `keys`, for the place's own.
absl::Status StoreRepository::AdoptRecord(StepPlace& place, const std::vector<StoreField>& fields,
                                          const std::vector<StepKey>& keys) {
  LayerSnapshot& layer = place.layer;
  const SharedRecord here = IsWholeHere(layer) ? layer.record : nullptr;
  const StepKey here_key = layer.record_key;
  layer.record = nullptr;
  for (std::size_t i = 0; i < keys.size() && layer.record == nullptr; ++i) {
    if (!fields[i].value.has_value()) continue;
    layer.record_key = keys[i];
    if (here != nullptr && here_key == keys[i] && here->token == fields[i].token) {
      layer.record = here;
      return absl::OkStatus();
    }
    layer.retained = nullptr;
    DROPOUTD_ASSIGN_OR_RETURN(layer.record, RecordFrom(place, keys[i], fields[i], layer.retained));
    // As Session::Snapshot: the other key counts only for a step that was keyed the other way.
    if (i > 0 && layer.record != nullptr &&
        IsSequenceKeyed(*layer.record->config) == IsSequenceKeyed(*layer.config())) {
      layer.record = nullptr;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<StepPlace> StoreRepository::FindStep(std::string_view key, std::string_view layer_id,
                                                    const std::optional<StepKey>& step,
                                                    bool needs_record) {
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    StepPlace place;
    DROPOUTD_ASSIGN_OR_RETURN(place.session, FindCopy(key));
    place.version = place.session->version();
    auto layer = place.session->Snapshot(place.version, layer_id, step);
    const bool may_trust =
        !store_.is_shared() && place.version->token && !RenewalDue(*place.session).has_value();
    const bool asks_record = needs_record && step.has_value() && layer.ok() &&
                             (store_.is_shared() || !IsFirstHere(*layer));
    Asked asked;
    std::vector<StepKey> keys;
    if (!may_trust || asks_record) {
      if (asks_record) keys = KeysOf(*layer, *step);
      auto answer = Ask(place.session, place.version,
                        asks_record ? NamesOf(*layer, keys) : std::vector<std::string>());
      if (absl::IsAborted(answer.status())) continue;
      DROPOUTD_RETURN_IF_ERROR(answer.status());
      asked = *std::move(answer);
      if (asked.version != place.version) {
        // The layer may be another by now.
        place.version = asked.version;
        auto now = place.session->Snapshot(place.version, layer_id, step);
        const bool is_same = layer.ok() && now.ok() && now->image->uid == layer->image->uid &&
                             now->key == layer->key;
        layer = std::move(now);
        if (!is_same && needs_record && step.has_value() && layer.ok()) continue;
      }
    }
    DROPOUTD_RETURN_IF_ERROR(layer.status());
    place.layer = *std::move(layer);
    if (IsReleasing(*place.layer.image, step)) {
      std::uint64_t count = 0;
      DROPOUTD_RETURN_IF_ERROR(FinishRelease(place.session, count));
      continue;
    }
    if (asks_record) {
      const absl::Status adopted = AdoptRecord(place, asked.fields, keys);
      if (absl::IsAborted(adopted)) continue;
      DROPOUTD_RETURN_IF_ERROR(adopted);
    }
    return place;
  }
  return TooManyChanges();
}

// Brings the version of a call that writes up to date, and asks for fields at that moment; the
// layer stays as the call found it. `turn`: who holds it keeps the others of this server from
// changing the session.
absl::StatusOr<std::vector<StoreField>> StoreRepository::LookAgain(
    StepPlace& place, const std::vector<std::string>& fields, std::unique_lock<SlowMutex>& turn) {
  const std::string& id = place.layer.config()->layer_id;
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    auto asked = Ask(place.session, place.session->version(), fields);
    if (absl::IsAborted(asked.status())) return SessionNotFound(place.session->key());
    DROPOUTD_RETURN_IF_ERROR(asked.status());
    place.version = asked->version;
    DROPOUTD_ASSIGN_OR_RETURN(const SharedLayer now, FindLayer(*place.version->image, id));
    if (now->uid != place.layer.image->uid) return LayerNotFound(id);
    if (!IsReleasing(*now, place.layer.key)) return std::move(asked->fields);
    if (!turn.owns_lock()) turn.lock();
    std::uint64_t count = 0;
    DROPOUTD_RETURN_IF_ERROR(FinishReleaseLocked(place.session, count));
  }
  return TooManyChanges();
}

// --- Writing --------------------------------------------------------------------------------

std::unique_ptr<RecordWrite> StoreRepository::WriteHere(std::string_view key,
                                                        std::string_view layer_id,
                                                        const StepKey& step, Prepare prepare) {
  if (!store_.is_shared()) return nullptr;
  StepPlace place;
  auto session = FindCopy(key);
  if (!session.ok()) return nullptr;
  place.session = *std::move(session);
  place.version = place.session->version();
  auto layer = place.session->Snapshot(place.version, layer_id, step);
  if (!place.version->token || !layer.ok() || IsReleasing(*layer->image, step)) return nullptr;
  place.layer = *std::move(layer);
  const StepRecord* const record = prepare(place);
  if (record == nullptr) return nullptr;
  auto write = std::make_unique<StoredWrite>(*this, place, IfPresent::kReplace);
  if (!write->TryNow(*record)) return nullptr;
  return write;
}

std::unique_ptr<RecordWrite> StoreRepository::StartRecord(
    const StepPlace& place, const StepRecord& record, std::shared_ptr<const RetainedInput> input,
    IfPresent if_present) {
  auto write = std::make_unique<StoredWrite>(*this, place, if_present);
  write->Start(record, input.get());
  return write;
}

absl::Status StoreRepository::Release(const StepPlace& place) {
  const LayerSnapshot& layer = place.layer;
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = place.session->incarnation();
  // The record that was applied; one that has come since stays.
  change.writes = {
      {StepField(layer.image->uid, layer.record_key), std::nullopt, layer.record->token}};
  const auto result = store_.Commit(place.session->key(), std::move(change));
  // Also where that failed: then the store must say whether the record is there.
  place.session->ReleaseStep(*layer.book, layer.record_key);
  return result.ok() ? absl::OkStatus() : ForgetIfGone(place.session, result.status());
}

// What a step book forgets at its limit is not forgotten in the store at once.
void StoreRepository::TrimNowAndThen(const StepPlace& place) {
  if ((place.layer.book->stored.fetch_add(1) + 1) % kTrimEvery != 0) return;
  // A failure is the next call's to find.
  EraseAll(place.session->key(), place.session->incarnation(), {},
           LayerFields(FieldKind::kStep, place.layer.image->uid), limits_.max_steps_per_layer)
      .IgnoreError();
}

// --- Releasing many -------------------------------------------------------------------------

namespace {

// The layers that a release is of.
absl::StatusOr<std::vector<SharedLayer>> LayersOf(const SessionImage& image,
                                                  std::string_view layer_id) {
  std::vector<SharedLayer> layers;
  if (!layer_id.empty()) {
    DROPOUTD_ASSIGN_OR_RETURN(layers.emplace_back(), FindLayer(image, layer_id));
    return layers;
  }
  for (const auto& [id, layer] : image.layers) layers.push_back(layer);
  return layers;
}

bool IsReleasingAny(const SessionImage& image) {
  return std::any_of(image.layers.begin(), image.layers.end(),
                     [](const auto& each) { return each.second->releasing.has_value(); });
}

// The image whose layers are being released, or, with nothing, are no more.
SharedImage WithReleasing(const SharedImage& image, const std::vector<SharedLayer>& layers,
                          std::optional<std::uint64_t> through) {
  auto next = std::make_shared<SessionImage>(*image);
  for (const SharedLayer& each : layers) {
    auto layer = std::make_shared<LayerImage>(*each);
    layer->releasing = through;
    next->layers[layer->config->layer_id] = std::move(layer);
  }
  return next;
}

}  // namespace

absl::Status StoreRepository::FinishRelease(const std::shared_ptr<Session>& session,
                                            std::uint64_t& count) {
  const std::lock_guard lock(session->changes());
  return FinishReleaseLocked(session, count);
}

// Erases what is released and still there. Nobody writes such a step meanwhile: the session's token
// is that of the release, or of a change that still has it. Changes() are held.
absl::Status StoreRepository::FinishReleaseLocked(const std::shared_ptr<Session>& session,
                                                  std::uint64_t& count) {
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    DROPOUTD_ASSIGN_OR_RETURN(const SharedVersion version, UpToDateOrGone(session));
    std::vector<SharedLayer> layers;
    for (const auto& [id, layer] : version->image->layers) {
      if (layer->releasing.has_value()) layers.push_back(layer);
    }
    if (layers.empty()) return absl::OkStatus();
    for (const SharedLayer& layer : layers) {
      DROPOUTD_ASSIGN_OR_RETURN(const std::uint64_t erased,
                                EraseAll(session->key(), session->incarnation(), version->token,
                                         StepFieldsThrough(layer->uid, *layer->releasing), 0));
      session->ReleaseThrough(layer->uid, *layer->releasing);
      count += erased;
    }
    DROPOUTD_RETURN_IF_ERROR(
        CommitNext(session, version, WithReleasing(version->image, layers, std::nullopt)).status());
  }
  return TooManyChanges();
}

absl::StatusOr<std::uint64_t> StoreRepository::ReleaseLocked(
    const std::shared_ptr<Session>& session, std::string_view layer_id, std::uint64_t through) {
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    std::uint64_t count = 0;
    DROPOUTD_RETURN_IF_ERROR(FinishReleaseLocked(session, count));
    DROPOUTD_ASSIGN_OR_RETURN(const SharedVersion version, UpToDateOrGone(session));
    if (IsReleasingAny(*version->image)) continue;
    DROPOUTD_ASSIGN_OR_RETURN(const auto layers, LayersOf(*version->image, layer_id));
    if (layers.empty()) return std::uint64_t{0};
    StoreChange change;
    change.token = Token::Random();
    change.incarnation = session->incarnation();
    change.expected = version->token;
    for (const SharedLayer& layer : layers) {
      change.erases.push_back(StepFieldsThrough(layer->uid, through));
    }
    const Token token = change.token;
    const auto result = store_.Commit(session->key(), std::move(change));
    if (!result.ok()) {
      // It may have been made: the store must say which records there are.
      for (const SharedLayer& layer : layers) session->ReleaseThrough(layer->uid, through);
    }
    const bool is_too_many = result.ok() && result->outcome == StoreOutcome::kTooMany;
    bool is_done = false;
    if (is_too_many) {
      DROPOUTD_ASSIGN_OR_RETURN(
          is_done, CommitNext(session, version, WithReleasing(version->image, layers, through)));
    } else {
      DROPOUTD_ASSIGN_OR_RETURN(is_done, Shown(session, version, version->image, token, result));
    }
    if (!is_done) continue;
    for (const SharedLayer& layer : layers) session->ReleaseThrough(layer->uid, through);
    if (!is_too_many) return result->count;
    // From here on the steps are gone for everybody; to erase them is a matter of time.
    FinishReleaseLocked(session, count).IgnoreError();
    return std::max(count, result->count);
  }
  return TooManyChanges();
}

absl::StatusOr<std::uint64_t> StoreRepository::ReleaseSteps(std::string_view key,
                                                            std::string_view layer_id,
                                                            std::uint64_t through) {
  DROPOUTD_ASSIGN_OR_RETURN(const FoundSession found, Find(key));
  const std::lock_guard lock(found.session->changes());
  return ReleaseLocked(found.session, layer_id, through);
}

// --- The sequential generator ---------------------------------------------------------------

absl::StatusOr<Repository::Drawn> StoreRepository::Draw(const StepPlace& at, const StepKey&,
                                                        const Shape& shape, DrawRecord draw) {
  StepPlace place = at;
  const std::uint64_t uid = place.layer.image->uid;
  const std::string step_name = StepField(uid, *place.layer.key);
  // This server's own draws wait for each other here, and not at the store.
  const std::lock_guard own_draws(place.session->stream().mutex);
  std::unique_lock turn(place.session->changes(), std::defer_lock);
  for (int i = 0; i < kMostTries; ++i) {
    Checkpoint();
    if (i == kTriesAmongOthers && !turn.owns_lock()) turn.lock();
    DROPOUTD_ASSIGN_OR_RETURN(const auto fields,
                              LookAgain(place, {StreamField(), step_name}, turn));
    const StoreField& stream = fields[0];
    const StoreField& step = fields[1];
    if (step.value.has_value()) {
      std::shared_ptr<const RetainedInput> input;
      const auto record = RecordFrom(place, *place.layer.key, step, input);
      if (absl::IsAborted(record.status())) continue;
      DROPOUTD_RETURN_IF_ERROR(record.status());
      if (*record != nullptr && (*record)->pinned != nullptr && (*record)->shape == shape) {
        return Drawn{(*record)->pinned, *record};
      }
    }
    SequentialNoise noise(place.session->seed());
    if (stream.value.has_value()) {
      DROPOUTD_ASSIGN_OR_RETURN(noise, DecodeStream(*stream.value, place.session->seed()));
    }
    StepRecord record = draw(noise);
    StoreChange change;
    change.token = Token::Random();
    change.incarnation = place.session->incarnation();
    change.expected = place.version->token;
    change.writes = {{step_name, EncodeRecord(record, nullptr), step.token},
                     {StreamField(), EncodeStream(noise), stream.token}};
    change.limit = FieldLimit{LayerFields(FieldKind::kStep, uid), limits_.max_steps_per_layer};
    const Token token = change.token;
    const std::uint32_t begun = place.session->BeginTurn(*place.layer.book, *place.layer.key);
    const auto result = store_.Commit(place.session->key(), std::move(change));
    if (!result.ok()) {
      // It may have been made: the store must say which record there is.
      place.session->ReleaseStep(*place.layer.book, *place.layer.key);
      return ForgetIfGone(place.session, result.status());
    }
    if (result->outcome == StoreOutcome::kAbsent) {
      return ForgetIfGone(place.session, absl::NotFoundError("it was removed"));
    }
    if (result->outcome == StoreOutcome::kFull) {
      return QuotaError(LayerStepTerms(limits_.max_steps_per_layer), QuotaLimit::kTenant, 1,
                        result->count);
    }
    if (result->outcome != StoreOutcome::kDone) continue;
    SharedBits bits = record.pinned;
    record.token = token;
    place.session
        ->Commit(*place.layer.book, *place.layer.key, std::move(record), nullptr, nullptr,
                 IfPresent::kReplace, begun)
        .IgnoreError();  // The store's copy serves.
    return Drawn{std::move(bits), nullptr};
  }
  return TooManyChanges();
}

}  // namespace dropoutd
