#include "server/persistence/session_contents.h"

#include <set>
#include <string>
#include <string_view>

#include "server/base/error.h"
#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/dropout/parameters.h"
#include "server/dropout/variant.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/snapshot_file.h"
#include "server/persistence/step_codec.h"

namespace dropoutd {
namespace {

// What a codec said of a field, for who brought it.
absl::Status Refusal(const absl::Status& status, std::string_view why) {
  return ReasonOf(status) == Reason::kStoreFormatNewer ? status : InvalidSnapshot(why);
}

absl::StatusOr<SharedParameters> ReadParameters(std::string_view value) {
  auto parameters = DecodeParameters(value);
  if (!parameters.ok()) {
    return Refusal(parameters.status(), "the record of parameters is damaged");
  }
  return std::make_shared<const Parameters>(*std::move(parameters));
}

class ContentsReader {
 public:
  explicit ContentsReader(const SessionContents& contents) : contents_(contents) {
    for (const auto& [id, layer] : contents.image.layers) {
      layers_.emplace(layer->uid, layer.get());
      if (layer->parameters == nullptr) continue;
      parts_.parameters[{layer->uid, layer->parameters_id}] = layer->parameters;
    }
  }

  absl::StatusOr<SessionParts> Read() {
    // Steps come last: they refer to the others.
    std::vector<const StoreField*> steps;
    WorkMeter meter;
    for (const StoreField& field : contents_.fields) {
      meter.AddRecord();
      if (!names_.insert(field.name).second) return InvalidSnapshot("two records of one name");
      if (!field.value.has_value()) return InvalidSnapshot("a record of nothing");
      if (field.name == StreamField()) {
        DROPOUTD_RETURN_IF_ERROR(ReadStream(*field.value));
        continue;
      }
      const auto name = ParseFieldName(field.name);
      if (!name.has_value() || !layers_.contains(name->uid)) {
        return InvalidSnapshot("a record of no layer");
      }
      if (name->kind == FieldKind::kStep) {
        steps.push_back(&field);
      } else if (name->kind == FieldKind::kConfig) {
        configs_[field.name] = *field.value;
      } else {
        DROPOUTD_RETURN_IF_ERROR(KeepParameters(*name, *field.value));
      }
    }
    for (const StoreField* const each : steps) {
      meter.AddRecord();
      DROPOUTD_RETURN_IF_ERROR(ReadStep(*each));
    }
    return std::move(parts_);
  }

 private:
  absl::Status ReadStream(std::string_view value) {
    auto stream = DecodeStream(value, contents_.image.seed);
    if (!stream.ok()) return Refusal(stream.status(), "the stream is damaged");
    parts_.stream = *std::move(stream);
    return absl::OkStatus();
  }

  absl::Status KeepParameters(const FieldName& name, std::string_view value) {
    SharedParameters& place = parts_.parameters[{name.uid, name.parameters}];
    if (place != nullptr) return absl::OkStatus();  // The image's, which FillParameters has read.
    DROPOUTD_ASSIGN_OR_RETURN(place, ReadParameters(value));
    return absl::OkStatus();
  }

  absl::Status ReadStep(const StoreField& field) {
    const FieldName name = *ParseFieldName(field.name);
    const LayerImage& layer = *layers_.at(name.uid);
    if (layer.releasing.has_value() && name.step.step <= *layer.releasing) return absl::OkStatus();
    const auto step = DecodeStep(*field.value);
    if (!step.ok()) return Refusal(step.status(), "the record of a step is damaged");
    std::string_view config;
    if (const auto needed = ConfigFieldOf(*step, layer); needed.has_value()) {
      const auto found = configs_.find(*needed);
      if (found == configs_.end()) return InvalidSnapshot("a step's configuration is missing");
      config = found->second;
    }
    auto record = RecordOf(*step, name.step, layer, field.token, config);
    if (!record.ok()) return Refusal(record.status(), "a step is not one of its layer");
    if (IsSequential(record->config->generator) &&
        contents_.image.seed > SequentialNoise::kMaxSeed) {
      return InvalidSnapshot("a layer cannot use the seed");
    }
    SessionParts::Step part{name.uid, name.step, *std::move(record), nullptr};
    if (step->input.has_value()) {
      const auto parameters = parts_.parameters.find({name.uid, step->parameters_id});
      if (parameters == parts_.parameters.end()) return InvalidSnapshot("parameters are missing");
      auto input = InputOf(*step, part.record, parameters->second);
      if (!input.ok()) return InvalidSnapshot("the input of a step is damaged");
      part.input = *std::move(input);
    }
    parts_.steps.push_back(std::move(part));
    return absl::OkStatus();
  }

  const SessionContents& contents_;
  std::map<std::uint64_t, const LayerImage*> layers_;
  std::map<std::string, std::string_view> configs_;  // By their fields' names.
  std::set<std::string_view> names_;
  SessionParts parts_;
};

}  // namespace

absl::Status FillParameters(SessionContents& contents) {
  std::map<std::string_view, std::string_view> values;
  for (const StoreField& each : contents.fields) {
    if (each.value.has_value()) values.emplace(each.name, *each.value);
  }
  for (auto& [id, shared] : contents.image.layers) {
    if (!shared->parameters_id || shared->parameters != nullptr) continue;
    const auto found = values.find(ParametersField(shared->uid, shared->parameters_id));
    if (found == values.end()) return InvalidSnapshot("parameters are missing");
    auto layer = std::make_shared<LayerImage>(*shared);
    DROPOUTD_ASSIGN_OR_RETURN(layer->parameters, ReadParameters(found->second));
    shared = std::move(layer);
  }
  if (CheckWhole(contents.image).ok()) return absl::OkStatus();
  return InvalidSnapshot("a layer lacks something, or has what does not fit it");
}

absl::StatusOr<SessionParts> TakeApart(const SessionContents& contents) {
  return ContentsReader(contents).Read();
}

}  // namespace dropoutd
