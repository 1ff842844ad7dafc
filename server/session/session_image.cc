// A session as the store keeps it, and back.
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/base/status_macros.h"
#include "server/session/session.h"

namespace dropoutd {
namespace {

std::int64_t ToNanoseconds(WallTime time) {
  return std::chrono::duration_cast<Nanoseconds>(time.time_since_epoch()).count();
}

WallTime FromNanoseconds(std::int64_t count) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(Nanoseconds(count)));
}

std::shared_ptr<const LayerConfig> Share(const LayerConfig& config) {
  return std::make_shared<const LayerConfig>(config);
}

}  // namespace

Session::Session(std::string_view session_id, const SessionImage& image, std::size_t max_layers,
                 StepBudget& budget, const Clock& clock)
    : session_id_(session_id),
      incarnation_(image.incarnation),
      origin_(image.origin),
      seed_(image.seed),
      ttl_(image.ttl),
      max_layers_(max_layers),
      budget_(budget),
      clock_(clock),
      create_time_(FromNanoseconds(image.create_time)),
      expire_time_(clock.Now() + ttl_),
      seed_given_(image.seed_given),
      ttl_given_(image.ttl_given.has_value() ? std::optional(Nanoseconds(*image.ttl_given))
                                             : std::nullopt),
      created_mode_(image.created_mode),
      mode_(image.mode) {
  for (const LayerConfig& each : image.created_layers) created_layers_.push_back(Share(each));
}

absl::StatusOr<std::shared_ptr<Session>> Session::FromImage(
    std::string_view session_id, const SessionImage& image, const ParametersByUid& parameters,
    std::size_t max_layers, StepBudget& budget, const Clock& clock) {
  std::shared_ptr<Session> session(new Session(session_id, image, max_layers, budget, clock));
  DROPOUTD_RETURN_IF_ERROR(session->Restore(image, parameters));
  return session;
}

SessionImage Session::Image() const {
  const std::lock_guard lock(mutex_);
  return ImageLocked();
}

SessionImage Session::ImageLocked() const {
  SessionImage image;
  image.incarnation = incarnation_;
  image.origin = origin_;
  image.seed = seed_;
  image.seed_given = seed_given_;
  if (ttl_given_.has_value()) image.ttl_given = ttl_given_->count();
  image.ttl = ttl_.count();
  image.create_time = ToNanoseconds(create_time_);
  image.created_mode = created_mode_;
  for (const auto& each : created_layers_) image.created_layers.push_back(*each);
  image.mode = mode_;
  image.next_uid = next_uid_;
  for (const auto& [id, layer] : layers_) {
    image.layers.push_back({layer->uid, *layer->created, *layer->config, layer->mode,
                            layer->revision, layer->parameters_version});
  }
  return image;
}

ParametersByUid Session::AllParameters() const {
  ParametersByUid all;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, layer] : layers_) {
    if (layer->parameters != nullptr) all[layer->uid] = layer->parameters;
  }
  return all;
}

std::shared_ptr<LayerState> Session::NewLayer(const LayerImage& image) {
  auto layer = std::make_shared<LayerState>(budget_);
  layer->uid = image.uid;
  layer->created = Share(image.created);
  return layer;
}

absl::Status Session::Restore(const SessionImage& image, const ParametersByUid& parameters) {
  const std::lock_guard lock(mutex_);
  mode_ = image.mode;
  next_uid_ = image.next_uid;
  Layers layers;
  for (const LayerImage& each : image.layers) {
    const auto found = layers_.find(each.config.layer_id);
    const bool is_here = found != layers_.end() && found->second->uid == each.uid;
    std::shared_ptr<LayerState> layer = is_here ? found->second : NewLayer(each);
    if (!is_here || !(*layer->config == each.config)) layer->config = Share(each.config);
    layer->mode = each.mode;
    layer->revision = each.revision;
    const auto held = parameters.find(each.uid);
    if (layer->parameters_version != each.parameters_version || held != parameters.end()) {
      DROPOUTD_RETURN_IF_ERROR(SetParameters(
          *layer, held == parameters.end() ? nullptr : held->second, each.parameters_version));
    }
    layers.emplace(each.config.layer_id, std::move(layer));
  }
  for (const auto& [id, layer] : layers_) {
    const auto kept = layers.find(id);
    if (kept == layers.end() || kept->second != layer) Remove(*layer);
  }
  layers_ = std::move(layers);
  return absl::OkStatus();
}

bool Session::has_regions() const {
  const std::lock_guard lock(mutex_);
  return !regions_.empty();
}

absl::StatusOr<std::vector<std::uint64_t>> Session::LayerUids(std::string_view layer_id) const {
  std::vector<std::uint64_t> uids;
  const std::lock_guard lock(mutex_);
  if (!layer_id.empty()) {
    DROPOUTD_ASSIGN_OR_RETURN(const LayerState* const layer, FindLayer(layer_id));
    return std::vector<std::uint64_t>{layer->uid};
  }
  for (const auto& [id, layer] : layers_) uids.push_back(layer->uid);
  return uids;
}

}  // namespace dropoutd
