#include "server/session/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/base/status_macros.h"
#include "server/dropout/layer_validation.h"
#include "server/dropout/variant.h"
#include "server/session/random_id.h"

namespace dropoutd {
namespace {

// A seed that every layer of the session can use.
std::uint64_t DrawSeed(const std::vector<LayerConfig>& layers) {
  const bool sequential = std::any_of(layers.begin(), layers.end(), [](const LayerConfig& layer) {
    return IsSequential(layer.generator);
  });
  return sequential ? RandomSeed() & SequentialNoise::kMaxSeed : RandomSeed();
}

absl::Status LayerNotFound(std::string_view layer_id) {
  return MakeError(Reason::kLayerNotFound, absl::StrCat("layer_id: no layer ", Quote(layer_id)));
}

// Shared by all layers without parameters.
const SharedParameters& NoParameters() {
  static const SharedParameters none = std::make_shared<const Parameters>();
  return none;
}

// Whether the layer's parameters mean the same after an update.
bool KeepsParameters(const LayerConfig& before, const LayerConfig& after) {
  if (LearnsP(before) && LearnsP(after)) return before.p == after.p;
  if (!IsLinear(before) || !IsLinear(after)) return false;
  const auto& a = std::get<DropConnectOptions>(before.options);
  const auto& b = std::get<DropConnectOptions>(after.options);
  return a.in_features == b.in_features && a.out_features == b.out_features && a.bias == b.bias;
}

// A step's key in a layer of that configuration.
StepKey Normalized(StepKey key, const LayerConfig& config) {
  if (!IsSequenceKeyed(config)) key.sequence_id = 0;
  return key;
}

}  // namespace

Session::Session(const SessionSpec& spec, Nanoseconds default_ttl, std::size_t max_layers,
                 StepBudget& budget, const Clock& clock)
    : session_id_(spec.session_id),
      incarnation_(RandomSeed()),
      seed_(spec.seed.has_value() ? *spec.seed : DrawSeed(spec.layers)),
      ttl_(spec.ttl.value_or(default_ttl)),
      max_layers_(max_layers),
      budget_(budget),
      clock_(clock),
      create_time_(clock.WallNow()),
      expire_time_(clock.Now() + ttl_),
      seed_given_(spec.seed.has_value()),
      ttl_given_(spec.ttl),
      created_mode_(spec.mode),
      mode_(spec.mode) {}

absl::StatusOr<std::shared_ptr<Session>> Session::Make(const SessionSpec& spec,
                                                       Nanoseconds default_ttl,
                                                       std::size_t max_layers, StepBudget& budget,
                                                       const Clock& clock) {
  std::shared_ptr<Session> session(new Session(spec, default_ttl, max_layers, budget, clock));
  for (const LayerConfig& config : spec.layers) {
    if (session->layers_.contains(config.layer_id)) {
      return MakeError(Reason::kLayerExists,
                       absl::StrCat("layers: ", Quote(config.layer_id), " is there twice"));
    }
    DROPOUTD_ASSIGN_OR_RETURN(const LayerView layer, session->CreateLayer(config));
    session->created_layers_.push_back(layer.config);
  }
  return session;
}

Session::~Session() {
  // Calls in flight may still hold layers; what those held must leave the cache now.
  const std::lock_guard lock(mutex_);
  for (const auto& [id, layer] : layers_) Remove(*layer);
}

bool Session::MadeFrom(const SessionSpec& spec) const {
  if (spec.mode != created_mode_ || spec.ttl != ttl_given_ ||
      spec.seed.has_value() != seed_given_ || (seed_given_ && *spec.seed != seed_)) {
    return false;
  }
  return std::equal(spec.layers.begin(), spec.layers.end(), created_layers_.begin(),
                    created_layers_.end(),
                    [](const LayerConfig& a, const auto& b) { return a == *b; });
}

SessionView Session::View() const {
  SessionView view{session_id_, seed_, Mode::kTrain, {}, ttl_, create_time_, {}};
  const SteadyTime expire = expire_time_;
  view.expire_time =
      clock_.WallNow() + std::chrono::duration_cast<WallTime::duration>(expire - clock_.Now());
  const std::lock_guard lock(mutex_);
  view.mode = mode_;
  view.layers.reserve(layers_.size());
  for (const auto& [id, layer] : layers_) view.layers.push_back(ViewOf(*layer));
  return view;
}

absl::StatusOr<LayerView> Session::CreateLayer(const LayerConfig& config) {
  DROPOUTD_RETURN_IF_ERROR(CheckLayer(config));
  auto shared = std::make_shared<const LayerConfig>(config);
  const std::lock_guard lock(mutex_);
  if (const auto found = layers_.find(config.layer_id); found != layers_.end()) {
    if (*found->second->created == config) return ViewOf(*found->second);
    return MakeError(Reason::kLayerExists, absl::StrCat("layer_id: ", Quote(config.layer_id),
                                                        " is taken by another layer"));
  }
  if (layers_.size() >= max_layers_) {
    return MakeError(Reason::kQuotaLayers,
                     absl::StrCat("the session has ", max_layers_, " layers, the most allowed"));
  }
  auto layer = std::make_shared<LayerState>(budget_);
  layer->uid = next_uid_++;
  layer->created = shared;
  layer->config = std::move(shared);
  layer->mode = config.mode.value_or(mode_);
  if (absl::Status status = ReplaceParameters(*layer, InitialParameters(config)); !status.ok()) {
    next_uid_ = layer->uid;  // A call that fails changes nothing.
    return status;
  }
  return ViewOf(*layers_.emplace(config.layer_id, std::move(layer)).first->second);
}

absl::StatusOr<LayerView> Session::UpdateLayer(const LayerConfig& config) {
  DROPOUTD_RETURN_IF_ERROR(CheckLayer(config));
  auto shared = std::make_shared<const LayerConfig>(config);
  const std::lock_guard lock(mutex_);
  DROPOUTD_ASSIGN_OR_RETURN(LayerState* const layer, FindLayer(config.layer_id));
  const Mode mode = config.mode.value_or(mode_);
  if (*layer->config == config && layer->mode == mode) return ViewOf(*layer);
  if (!KeepsParameters(*layer->config, config)) {
    DROPOUTD_RETURN_IF_ERROR(ReplaceParameters(*layer, InitialParameters(config)));
  }
  layer->config = std::move(shared);
  layer->mode = mode;
  ++layer->revision;
  return ViewOf(*layer);
}

absl::Status Session::DeleteLayer(std::string_view layer_id) {
  const std::lock_guard lock(mutex_);
  const auto found = layers_.find(layer_id);
  if (found == layers_.end()) return LayerNotFound(layer_id);
  Remove(*found->second);
  layers_.erase(found);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Session::SetMode(
    Mode mode, const std::vector<std::string>& layer_ids) {
  std::vector<std::string> set = layer_ids;
  const std::lock_guard lock(mutex_);
  if (set.empty()) {
    mode_ = mode;
    for (const auto& [id, layer] : layers_) set.push_back(id);
  }
  std::sort(set.begin(), set.end());
  set.erase(std::unique(set.begin(), set.end()), set.end());
  for (const std::string& id : set) DROPOUTD_RETURN_IF_ERROR(FindLayer(id).status());
  for (const std::string& id : set) layers_.find(id)->second->mode = mode;
  return set;
}

absl::Status Session::SetParameters(std::string_view layer_id, std::vector<Parameter> parameters) {
  const std::lock_guard lock(mutex_);
  DROPOUTD_ASSIGN_OR_RETURN(LayerState* const layer, FindLayer(layer_id));
  Parameters all = layer->parameters != nullptr ? *layer->parameters : Parameters();
  for (Parameter& parameter : parameters) {
    DROPOUTD_RETURN_IF_ERROR(CheckParameter(*layer->config, parameter));
    all.Set(std::move(parameter));
  }
  return ReplaceParameters(*layer, std::move(all));
}

absl::StatusOr<SharedParameters> Session::GetParameters(std::string_view layer_id) const {
  const std::lock_guard lock(mutex_);
  DROPOUTD_ASSIGN_OR_RETURN(LayerState* const layer, FindLayer(layer_id));
  return layer->parameters != nullptr ? layer->parameters : NoParameters();
}

absl::StatusOr<LayerSnapshot> Session::Snapshot(std::string_view layer_id,
                                                const std::optional<StepKey>& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = layers_.find(layer_id);
  if (found == layers_.end()) return LayerNotFound(layer_id);
  const std::shared_ptr<LayerState>& layer = found->second;
  LayerSnapshot snapshot;
  snapshot.state = layer;
  snapshot.config = layer->config;
  snapshot.mode = layer->mode;
  snapshot.revision = layer->revision;
  snapshot.parameters = layer->parameters != nullptr ? layer->parameters : NoParameters();
  snapshot.parameters_version = layer->parameters_version;
  if (!key.has_value()) return snapshot;
  snapshot.key = Normalized(*key, *layer->config);
  snapshot.record_key = *snapshot.key;
  const StepRecord* record = layer->steps.Find(snapshot.record_key);
  if (record == nullptr) {
    // An update may have changed what the layer is keyed by since the step's Forward.
    const bool by_sequence = IsSequenceKeyed(*layer->config);
    snapshot.record_key.sequence_id = by_sequence ? 0 : key->sequence_id;
    record = layer->steps.Find(snapshot.record_key);
    if (record != nullptr && IsSequenceKeyed(*record->config) == by_sequence) record = nullptr;
  }
  if (record != nullptr) snapshot.record = *record;
  return snapshot;
}

absl::Status Session::CheckRoom(const LayerState& layer, const StepKey& key) const {
  const std::lock_guard lock(mutex_);
  if (layer.deleted) return LayerNotFound(layer.config->layer_id);
  return layer.steps.CheckRoom(key);
}

absl::Status Session::MakeRoom(LayerState& layer, const StepKey& key) {
  const std::lock_guard lock(mutex_);
  return MakeRoomLocked(layer, key);
}

absl::Status Session::Commit(LayerState& layer, const StepKey& key, StepRecord record,
                             std::shared_ptr<const PackedBits> mask,
                             std::shared_ptr<const RetainedInput> input, IfPresent if_present) {
  const std::lock_guard lock(mutex_);
  if (if_present == IfPresent::kKeep && layer.steps.Find(key) != nullptr) return absl::OkStatus();
  DROPOUTD_RETURN_IF_ERROR(MakeRoomLocked(layer, key));
  const CacheId mask_id = record.mask_id;
  const CacheId input_id = record.input_id;
  layer.steps.Put(key, std::move(record));
  if (mask != nullptr) budget_.cache.Put(mask_id, std::move(mask));
  if (input != nullptr) budget_.inputs.Put(input_id, std::move(input));
  return absl::OkStatus();
}

void Session::Recache(LayerState& layer, const StepKey& key, CacheId mask_id,
                      std::shared_ptr<const PackedBits> bits) {
  const std::lock_guard lock(mutex_);
  const StepRecord* const record = layer.steps.Find(key);
  if (record != nullptr && record->mask_id == mask_id) budget_.cache.Put(mask_id, std::move(bits));
}

void Session::ReleaseStep(LayerState& layer, const StepKey& key) {
  const std::lock_guard lock(mutex_);
  layer.steps.Release(key);
}

absl::StatusOr<std::uint64_t> Session::ReleaseSteps(std::string_view layer_id,
                                                    std::uint64_t through_step) {
  const std::lock_guard lock(mutex_);
  if (!layer_id.empty()) {
    DROPOUTD_ASSIGN_OR_RETURN(LayerState* const layer, FindLayer(layer_id));
    return layer->steps.ReleaseThrough(through_step);
  }
  std::uint64_t count = 0;
  for (const auto& [id, layer] : layers_) count += layer->steps.ReleaseThrough(through_step);
  return count;
}

SharedStream& Session::stream() {
  const std::lock_guard lock(mutex_);
  // Made when first needed: few sessions have such a layer.
  if (stream_ == nullptr) stream_ = std::make_unique<SharedStream>(seed_);
  return *stream_;
}

absl::Status Session::CheckLayer(const LayerConfig& config) const {
  DROPOUTD_RETURN_IF_ERROR(Validate(config));
  if (IsSequential(config.generator) && seed_ > SequentialNoise::kMaxSeed) {
    return MakeError(Reason::kInvalidLayer,
                     absl::StrCat("generator: NUMPY_LEGACY needs a session seed in [0, ",
                                  SequentialNoise::kMaxSeed, "], the seed is ", seed_));
  }
  return absl::OkStatus();
}

absl::StatusOr<LayerState*> Session::FindLayer(std::string_view layer_id) const {
  const auto found = layers_.find(layer_id);
  if (found == layers_.end()) return LayerNotFound(layer_id);
  return found->second.get();
}

absl::Status Session::MakeRoomLocked(LayerState& layer, const StepKey& key) {
  if (layer.deleted) return LayerNotFound(layer.config->layer_id);
  return layer.steps.MakeRoom(key);
}

LayerView Session::ViewOf(const LayerState& layer) {
  return {layer.config, layer.mode, layer.revision};
}

void Session::Remove(LayerState& layer) {
  layer.deleted = true;
  layer.steps.Clear();
  // Of no parameters there can be no quota.
  static_cast<void>(ReplaceParameters(layer, Parameters()));
}

absl::Status Session::ReplaceParameters(LayerState& layer, Parameters parameters) {
  if (parameters.all().empty()) return SetParameters(layer, nullptr, 0);
  DROPOUTD_RETURN_IF_ERROR(
      SetParameters(layer, std::make_shared<const Parameters>(std::move(parameters)), next_uid_));
  ++next_uid_;
  return absl::OkStatus();
}

absl::Status Session::SetParameters(LayerState& layer, SharedParameters parameters,
                                    std::uint64_t version) {
  DROPOUTD_RETURN_IF_ERROR(
      layer.charge.Resize(parameters != nullptr ? parameters->byte_size() : 0));
  layer.parameters = std::move(parameters);
  layer.parameters_version = version;
  return absl::OkStatus();
}

}  // namespace dropoutd
