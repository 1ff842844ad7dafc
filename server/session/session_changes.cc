#include "server/session/session_changes.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/quote.h"
#include "server/base/random_id.h"
#include "server/base/status_macros.h"
#include "server/dropout/layer_validation.h"
#include "server/dropout/sequential_noise.h"
#include "server/dropout/variant.h"
#include "server/session/quota_terms.h"

namespace dropoutd {
namespace {

std::uint64_t DrawSeed(const std::vector<LayerConfig>& layers) {
  const bool sequential = std::any_of(layers.begin(), layers.end(), [](const LayerConfig& layer) {
    return IsSequential(layer.generator);
  });
  return sequential ? RandomSeed() & SequentialNoise::kMaxSeed : RandomSeed();
}

std::uint64_t RandomUid() {
  std::uint64_t uid = 0;
  while (uid == 0) uid = RandomSeed();
  return uid;
}

absl::Status CheckLayer(const SessionImage& image, const LayerConfig& config) {
  DROPOUTD_RETURN_IF_ERROR(Validate(config));
  if (IsSequential(config.generator) && image.seed > SequentialNoise::kMaxSeed) {
    return MakeError(Reason::kInvalidLayer,
                     absl::StrCat("generator: NUMPY_LEGACY needs a session seed in [0, ",
                                  SequentialNoise::kMaxSeed, "], the seed is ", image.seed));
  }
  return absl::OkStatus();
}

// Whether the layer's parameters mean the same after an update.
bool KeepsParameters(const LayerConfig& before, const LayerConfig& after) {
  if (LearnsP(before) && LearnsP(after)) return before.p == after.p;
  if (!IsLinear(before) || !IsLinear(after)) return false;
  const auto& a = std::get<DropConnectOptions>(before.options);
  const auto& b = std::get<DropConnectOptions>(after.options);
  return a.in_features == b.in_features && a.out_features == b.out_features && a.bias == b.bias;
}

absl::Status ReplaceParameters(LayerImage& layer, Parameters parameters, const ChangeRules& rules) {
  if (parameters.all().empty()) {
    layer.parameters = nullptr;
    layer.parameters_id = {};
    return absl::OkStatus();
  }
  const bool may_refuse = rules.budgets.holding() == Holding::kOriginals;
  DROPOUTD_ASSIGN_OR_RETURN(layer.parameters,
                            rules.budgets.ChargeParameters(rules.tenant, std::move(parameters),
                                                           may_refuse, layer.parameters));
  layer.parameters_id = {layer.parameters_id.number + 1, RandomUid()};
  return absl::OkStatus();
}

absl::StatusOr<SharedLayer> NewLayer(const SessionImage& image, const LayerConfig& config,
                                     const ChangeRules& rules) {
  DROPOUTD_RETURN_IF_ERROR(CheckLayer(image, config));
  auto layer = std::make_shared<LayerImage>();
  layer->uid = RandomUid();
  layer->created = std::make_shared<const LayerConfig>(config);
  layer->config = layer->created;
  layer->mode = config.mode.value_or(image.mode);
  DROPOUTD_RETURN_IF_ERROR(ReplaceParameters(*layer, InitialParameters(config), rules));
  return layer;
}

std::shared_ptr<SessionImage> CopyOf(const SharedImage& image) {
  return std::make_shared<SessionImage>(*image);
}

// The image with another layer in place of the one with its id.
SharedImage With(const SharedImage& image, SharedLayer layer) {
  auto next = CopyOf(image);
  next->layers[layer->config->layer_id] = std::move(layer);
  return next;
}

absl::Status TooManyLayers(std::size_t most) {
  return QuotaError(LayerTerms(most), QuotaLimit::kTenant, 1, most);
}

}  // namespace

absl::Status LayerNotFound(std::string_view layer_id) {
  return MakeError(Reason::kLayerNotFound, absl::StrCat("layer_id: no layer ", Quote(layer_id)));
}

absl::StatusOr<SharedLayer> FindLayer(const SessionImage& image, std::string_view layer_id) {
  const auto found = image.layers.find(layer_id);
  if (found == image.layers.end()) return LayerNotFound(layer_id);
  return found->second;
}

const SharedParameters& NoParameters() {
  static const SharedParameters none = std::make_shared<const Parameters>();
  return none;
}

absl::StatusOr<SharedImage> NewSession(const SessionSpec& spec, Nanoseconds ttl, WallTime now,
                                       const ChangeRules& rules) {
  auto image = std::make_shared<SessionImage>();
  image->incarnation = Token::Random();
  image->seed = spec.seed.has_value() ? *spec.seed : DrawSeed(spec.layers);
  image->ttl = spec.ttl.value_or(ttl);
  image->create_time = now;
  image->mode = spec.mode;
  image->seed_given = spec.seed.has_value();
  image->ttl_given = spec.ttl;
  image->created_mode = spec.mode;
  for (const LayerConfig& config : spec.layers) {
    if (image->layers.contains(config.layer_id)) {
      return MakeError(Reason::kLayerExists,
                       absl::StrCat("layers: ", Quote(config.layer_id), " is there twice"));
    }
    if (image->layers.size() >= rules.max_layers) return TooManyLayers(rules.max_layers);
    DROPOUTD_ASSIGN_OR_RETURN(SharedLayer layer, NewLayer(*image, config, rules));
    image->created_layers.push_back(layer->created);
    image->layers.emplace(config.layer_id, std::move(layer));
  }
  return image;
}

absl::StatusOr<SharedImage> WithLayer(const SharedImage& image, const LayerConfig& config,
                                      const ChangeRules& rules) {
  DROPOUTD_RETURN_IF_ERROR(CheckLayer(*image, config));
  if (const auto found = image->layers.find(config.layer_id); found != image->layers.end()) {
    if (*found->second->created == config) return image;
    return MakeError(Reason::kLayerExists, absl::StrCat("layer_id: ", Quote(config.layer_id),
                                                        " is taken by another layer"));
  }
  if (image->layers.size() >= rules.max_layers) return TooManyLayers(rules.max_layers);
  DROPOUTD_ASSIGN_OR_RETURN(SharedLayer layer, NewLayer(*image, config, rules));
  return With(image, std::move(layer));
}

absl::StatusOr<SharedImage> WithUpdate(const SharedImage& image, const LayerConfig& config,
                                       const ChangeRules& rules) {
  DROPOUTD_RETURN_IF_ERROR(CheckLayer(*image, config));
  DROPOUTD_ASSIGN_OR_RETURN(const SharedLayer before, FindLayer(*image, config.layer_id));
  const Mode mode = config.mode.value_or(image->mode);
  if (*before->config == config && before->mode == mode) return image;
  auto layer = std::make_shared<LayerImage>(*before);
  if (!KeepsParameters(*before->config, config)) {
    DROPOUTD_RETURN_IF_ERROR(ReplaceParameters(*layer, InitialParameters(config), rules));
  }
  layer->config = std::make_shared<const LayerConfig>(config);
  layer->mode = mode;
  ++layer->revision;
  return With(image, std::move(layer));
}

absl::StatusOr<SharedImage> WithoutLayer(const SharedImage& image, std::string_view layer_id) {
  DROPOUTD_RETURN_IF_ERROR(FindLayer(*image, layer_id).status());
  auto next = CopyOf(image);
  next->layers.erase(next->layers.find(layer_id));
  return next;
}

absl::StatusOr<SharedImage> WithMode(const SharedImage& image, Mode mode,
                                     const std::vector<std::string>& layer_ids,
                                     std::vector<std::string>& set) {
  set = layer_ids;
  auto next = CopyOf(image);
  if (set.empty()) {
    next->mode = mode;
    for (const auto& [id, layer] : image->layers) set.push_back(id);
  }
  std::sort(set.begin(), set.end());
  set.erase(std::unique(set.begin(), set.end()), set.end());
  bool changes = next->mode != image->mode;
  for (const std::string& id : set) {
    DROPOUTD_ASSIGN_OR_RETURN(const SharedLayer before, FindLayer(*image, id));
    if (before->mode == mode) continue;
    auto layer = std::make_shared<LayerImage>(*before);
    layer->mode = mode;
    next->layers[id] = std::move(layer);
    changes = true;
  }
  if (!changes) return image;
  return next;
}

absl::StatusOr<SharedImage> WithParameters(const SharedImage& image, std::string_view layer_id,
                                           const std::vector<Parameter>& parameters,
                                           const ChangeRules& rules) {
  DROPOUTD_ASSIGN_OR_RETURN(const SharedLayer before, FindLayer(*image, layer_id));
  Parameters all = before->parameters != nullptr ? *before->parameters : Parameters();
  for (const Parameter& parameter : parameters) {
    DROPOUTD_RETURN_IF_ERROR(CheckParameter(*before->config, parameter));
    all.Set(parameter);
  }
  auto layer = std::make_shared<LayerImage>(*before);
  DROPOUTD_RETURN_IF_ERROR(ReplaceParameters(*layer, std::move(all), rules));
  return With(image, std::move(layer));
}

}  // namespace dropoutd
