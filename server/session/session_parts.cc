// SessionContents taken apart, and checked.
#include <map>
#include <utility>

#include "server/base/status_macros.h"
#include "server/dropout/parameters.h"
#include "server/session/layer_codec.h"
#include "server/session/session_contents.h"
#include "server/session/stored_step.h"

namespace dropoutd {
namespace {

using SharedConfig = std::shared_ptr<const LayerConfig>;

class Reader {
 public:
  explicit Reader(const SessionContents& contents) : contents_(contents) {}

  absl::StatusOr<SessionParts> Read() {
    ReadLayers();
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

  // DecodeSession has checked them.
  void ReadLayers() {
    for (const LayerImage& layer : image().layers) {
      layers_.emplace(layer.uid, &layer);
      configs_[{layer.uid, layer.revision}] = std::make_shared<const LayerConfig>(layer.config);
    }
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
    if (!parameters.ok() || parameters->all().empty() || name.number == 0 ||
        name.number >= image().next_uid) {
      return InvalidSnapshot("the record of parameters is damaged");
    }
    parameters_[{name.uid, name.number}] =
        std::make_shared<const Parameters>(*std::move(parameters));
    return absl::OkStatus();
  }

  absl::StatusOr<SharedParameters> FindParameters(std::uint64_t uid, std::uint64_t version) const {
    const auto found = parameters_.find({uid, version});
    if (found == parameters_.end()) return InvalidSnapshot("parameters are missing");
    return found->second;
  }

  absl::Status FindPresentParameters() {
    for (const LayerImage& layer : image().layers) {
      if (layer.parameters_version == 0) continue;
      DROPOUTD_ASSIGN_OR_RETURN(const SharedParameters parameters,
                                FindParameters(layer.uid, layer.parameters_version));
      if (!CheckParameters(layer.config, *parameters).ok()) {
        return InvalidSnapshot("parameters do not fit their layer");
      }
      parts_.parameters[layer.uid] = parameters;
    }
    return absl::OkStatus();
  }

  absl::Status ReadStep(const FieldName& name, std::string_view value) {
    const auto step = DecodeStep(value);
    if (!step.ok()) return InvalidSnapshot("the record of a step is damaged");
    const auto config = configs_.find({name.uid, step->image.revision});
    if (config == configs_.end()) return InvalidSnapshot("a step's configuration is missing");
    auto record = RecordOf(*step, name.step, config->second);
    if (!record.ok()) return InvalidSnapshot("a step is not one of its layer");
    SessionParts::Step part{name.uid, name.step, *std::move(record), nullptr};
    if (step->image.has_input) {
      DROPOUTD_ASSIGN_OR_RETURN(SharedParameters parameters,
                                FindParameters(name.uid, step->image.parameters_version));
      auto input = InputOf(*step, part.record, std::move(parameters));
      if (!input.ok()) return InvalidSnapshot("the input of a step is damaged");
      part.input = *std::move(input);
    }
    parts_.steps.push_back(std::move(part));
    return absl::OkStatus();
  }

  const SessionContents& contents_;
  std::map<std::uint64_t, const LayerImage*> layers_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, SharedConfig> configs_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, SharedParameters> parameters_;
  SessionParts parts_;
};

}  // namespace

absl::StatusOr<SessionParts> TakeApart(const SessionContents& contents) {
  return Reader(contents).Read();
}

}  // namespace dropoutd
