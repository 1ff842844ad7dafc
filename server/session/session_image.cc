// A session as the store keeps it, and back.
#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

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

// A layer that an image has, before the session has it too.
struct Session::Restored {
  const LayerImage* image = nullptr;
  std::shared_ptr<LayerState> layer;  // The one that is here, or a new one.
  SharedParameters parameters;
  std::unique_ptr<ParameterCharge> charge;  // Of what they are larger than those before.
};

absl::StatusOr<Session::Restored> Session::Prepare(const LayerImage& image,
                                                   const ParametersByUid& parameters) {
  Restored made{&image, nullptr, nullptr, std::make_unique<ParameterCharge>(budget_)};
  const auto here = layers_.find(image.config.layer_id);
  if (here != layers_.end() && here->second->uid == image.uid) {
    made.layer = here->second;
  } else {
    made.layer = std::make_shared<LayerState>(budget_);
    made.layer->uid = image.uid;
    made.layer->created = Share(image.created);
  }
  if (const auto held = parameters.find(image.uid); held != parameters.end()) {
    made.parameters = held->second;
  } else if (made.layer->parameters_version == image.parameters_version) {
    made.parameters = made.layer->parameters;
  }
  // No list is written empty: a layer without parameters has no version of them.
  const bool has_some = made.parameters != nullptr && !made.parameters->all().empty();
  const bool is_there = has_some == (image.parameters_version != 0);
  if (!is_there ||
      !CheckParameters(image.config, made.parameters != nullptr ? *made.parameters : Parameters())
           .ok()) {
    return MakeError(Reason::kStoreCorrupt,
                     "the store's record of a layer and that of its parameters disagree");
  }
  const std::size_t after = made.parameters != nullptr ? made.parameters->byte_size() : 0;
  const std::size_t before = made.layer->charge.bytes();
  DROPOUTD_RETURN_IF_ERROR(made.charge->Resize(after > before ? after - before : 0));
  return made;
}

absl::Status Session::Restore(const SessionImage& image, const ParametersByUid& parameters) {
  const std::lock_guard lock(mutex_);
  std::vector<Restored> made;
  made.reserve(image.layers.size());
  for (const LayerImage& each : image.layers) {
    DROPOUTD_ASSIGN_OR_RETURN(made.emplace_back(), Prepare(each, parameters));
  }
  // Nothing fails from here on.
  mode_ = image.mode;
  next_uid_ = image.next_uid;
  Layers layers;
  for (const Restored& each : made) {
    LayerState& layer = *each.layer;
    if (layer.config == nullptr || *layer.config != each.image->config) {
      layer.config = Share(each.image->config);
    }
    layer.mode = each.image->mode;
    layer.revision = each.image->revision;
    layer.charge.Take(*each.charge);
    static_cast<void>(
        SetParameters(layer, each.parameters, each.image->parameters_version));  // Fits by now.
    layers.emplace(each.image->config.layer_id, each.layer);
  }
  for (const auto& [id, layer] : layers_) {
    const auto kept = layers.find(id);
    if (kept == layers.end() || kept->second != layer) Remove(*layer);
  }
  layers_ = std::move(layers);
  return absl::OkStatus();
}

SessionView ViewOf(std::string_view session_id, const SessionImage& image, WallTime expire_time) {
  SessionView view;
  view.session_id = session_id;
  view.seed = image.seed;
  view.mode = image.mode;
  view.ttl = Nanoseconds(image.ttl);
  view.create_time = FromNanoseconds(image.create_time);
  view.expire_time = expire_time;
  for (const LayerImage& layer : image.layers) {
    view.layers.push_back({Share(layer.config), layer.mode, layer.revision});
  }
  std::sort(view.layers.begin(), view.layers.end(), [](const LayerView& a, const LayerView& b) {
    return a.config->layer_id < b.config->layer_id;
  });
  return view;
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
