// SessionContents taken apart, and checked.
#include <map>
#include <set>
#include <utility>

#include "server/base/status_macros.h"
#include "server/dropout/layer_validation.h"
#include "server/dropout/plan.h"
#include "server/dropout/variant.h"
#include "server/session/layer_codec.h"
#include "server/session/session_contents.h"

namespace dropoutd {
namespace {

using SharedConfig = std::shared_ptr<const LayerConfig>;

class Reader {
 public:
  explicit Reader(const SessionContents& contents) : contents_(contents) {}

  absl::StatusOr<SessionParts> Read() {
    DROPOUTD_RETURN_IF_ERROR(ReadLayers());
    // Steps come last: they refer to the others.
    std::vector<std::pair<FieldName, std::string_view>> steps;
    for (const StoreField& field : contents_.fields) {
      const std::string_view value = field.value.has_value() ? std::string_view(*field.value) : "";
      if (field.name == StreamField()) {
        DROPOUTD_RETURN_IF_ERROR(ReadStream(std::string(value)));
        continue;
      }
      const auto name = ParseFieldName(field.name);
      if (!name.has_value() || !layers_.contains(name->uid)) {
        return InvalidSnapshot("a record of no layer");
      }
      if (name->kind == FieldKind::kStep) {
        steps.emplace_back(*name, value);
      } else if (name->kind == FieldKind::kConfig) {
        DROPOUTD_RETURN_IF_ERROR(ReadConfig(*name, value));
      } else {
        DROPOUTD_RETURN_IF_ERROR(ReadParameters(*name, value));
      }
    }
    DROPOUTD_RETURN_IF_ERROR(FindPresentParameters());
    for (const auto& [name, value] : steps) DROPOUTD_RETURN_IF_ERROR(ReadStep(name, value));
    return std::move(parts_);
  }

 private:
  const SessionImage& image() const { return contents_.image; }

  absl::Status CheckSeed(const LayerConfig& config) const {
    if (IsSequential(config.generator) && image().seed > SequentialNoise::kMaxSeed) {
      return InvalidSnapshot("a layer cannot use the seed");
    }
    return absl::OkStatus();
  }

  absl::Status ReadLayers() {
    std::set<std::string_view> ids;
    for (const LayerImage& layer : image().layers) {
      if (!ids.insert(layer.config.layer_id).second || !layers_.emplace(layer.uid, &layer).second ||
          layer.created.layer_id != layer.config.layer_id ||
          layer.parameters_version >= image().next_uid) {
        return InvalidSnapshot("the layers contradict each other");
      }
      DROPOUTD_RETURN_IF_ERROR(CheckSeed(layer.config));
      configs_[{layer.uid, layer.revision}] = std::make_shared<const LayerConfig>(layer.config);
    }
    return absl::OkStatus();
  }

  absl::Status ReadStream(const std::string& state) {
    if (image().seed > SequentialNoise::kMaxSeed) return InvalidSnapshot("the seed has no stream");
    parts_.stream.emplace(image().seed);
    return parts_.stream->SetState(state) ? absl::OkStatus()
                                          : InvalidSnapshot("the stream is damaged");
  }

  absl::Status ReadConfig(const FieldName& name, std::string_view value) {
    const LayerImage& layer = *layers_.at(name.uid);
    auto config = DecodeLayer(value);
    if (!config.ok() || config->layer_id != layer.config.layer_id || name.number == 0 ||
        name.number > layer.revision ||
        (name.number == layer.revision && *config != layer.config)) {
      return InvalidSnapshot("the record of a layer is damaged");
    }
    DROPOUTD_RETURN_IF_ERROR(CheckSeed(*config));
    SharedConfig& place = configs_[{name.uid, name.number}];
    if (place == nullptr) place = std::make_shared<const LayerConfig>(*std::move(config));
    return absl::OkStatus();
  }

  absl::Status ReadParameters(const FieldName& name, std::string_view value) {
    auto parameters = DecodeParameters(value);
    if (!parameters.ok() || name.number == 0 || name.number >= image().next_uid) {
      return InvalidSnapshot("the record of parameters is damaged");
    }
    parameters_[{name.uid, name.number}] =
        std::make_shared<const Parameters>(*std::move(parameters));
    return absl::OkStatus();
  }

  // The layer's parameters, which fit the configuration.
  absl::StatusOr<SharedParameters> ParametersFor(std::uint64_t uid, std::uint64_t version,
                                                 const SharedConfig& config) {
    if (version == 0) return std::make_shared<const Parameters>();
    const auto found = parameters_.find({uid, version});
    if (found == parameters_.end()) return InvalidSnapshot("parameters are missing");
    // Once: many steps may share large ones.
    if (!fitting_.insert({config.get(), found->second.get()}).second) return found->second;
    for (const auto& each : found->second->all()) {
      if (!CheckParameter(*config, *each).ok())
        return InvalidSnapshot("parameters do not fit their layer");
    }
    return found->second;
  }

  absl::Status FindPresentParameters() {
    for (const LayerImage& layer : image().layers) {
      if (layer.parameters_version == 0) continue;
      DROPOUTD_ASSIGN_OR_RETURN(parts_.parameters[layer.uid],
                                ParametersFor(layer.uid, layer.parameters_version,
                                              configs_.at({layer.uid, layer.revision})));
    }
    return absl::OkStatus();
  }

  absl::Status ReadStep(const FieldName& name, std::string_view value) {
    const auto step = DecodeStep(value);
    if (!step.ok()) return InvalidSnapshot("the record of a step is damaged");
    const StepImage& at = step->image;
    const auto config = configs_.find({name.uid, at.revision});
    if (config == configs_.end()) return InvalidSnapshot("a step's configuration is missing");
    SessionParts::Step part;
    part.uid = name.uid;
    part.key = name.step;
    part.record.config = config->second;
    part.record.revision = at.revision;
    part.record.mode = at.mode;
    part.record.rate = at.rate;
    part.record.shape = at.shape;
    part.record.nonce = at.nonce;
    const Coordinates coordinates = {image().seed, part.key.step, part.key.sample_offset,
                                     part.key.sequence_id};
    if (!IsRateOf(*config->second, at.rate))
      return InvalidSnapshot("the record of a step is damaged");
    const auto plan = MakePlan(*config->second, at.mode, at.rate, coordinates, at.shape);
    const bool is_drawn_once =
        plan.ok() && plan->Draws() && IsSequential(config->second->generator);
    if (!plan.ok() || at.has_input != plan->NeedsInput() || at.has_bits != is_drawn_once ||
        (!IsSequenceKeyed(*config->second) && part.key.sequence_id != 0)) {
      return InvalidSnapshot("a step is not one of its layer");
    }
    if (at.has_bits) {
      const auto bits = DecodeBits(step->payload);
      if (!bits.ok() ||
          (*bits)->count() != static_cast<std::size_t>(plan->layout.noise.ElementCount())) {
        return InvalidSnapshot("the mask of a step is damaged");
      }
      part.record.pinned = *bits;
    }
    if (at.has_input) DROPOUTD_RETURN_IF_ERROR(ReadInput(*step, part));
    parts_.steps.push_back(std::move(part));
    return absl::OkStatus();
  }

  absl::Status ReadInput(const DecodedStep& step, SessionParts::Step& part) {
    const auto input = DecodeInput(step.payload);
    if (!input.ok() ||
        (*input)->data_size != static_cast<std::size_t>(step.image.shape.ElementCount()) *
                                   static_cast<std::size_t>(ElementSize((*input)->dtype))) {
      return InvalidSnapshot("the input of a step is damaged");
    }
    DROPOUTD_ASSIGN_OR_RETURN(
        (*input)->parameters,
        ParametersFor(part.uid, step.image.parameters_version, part.record.config));
    (*input)->parameters_version = step.image.parameters_version;
    part.input = *input;
    return absl::OkStatus();
  }

  const SessionContents& contents_;
  std::map<std::uint64_t, const LayerImage*> layers_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, SharedConfig> configs_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, SharedParameters> parameters_;
  std::set<std::pair<const LayerConfig*, const Parameters*>> fitting_;
  SessionParts parts_;
};

}  // namespace

absl::StatusOr<SessionParts> TakeApart(const SessionContents& contents) {
  return Reader(contents).Read();
}

}  // namespace dropoutd
