// Session's part that is about copies: its steps as fields, and back.
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/session/layer_codec.h"
#include "server/session/session.h"

namespace dropoutd {

absl::StatusOr<SessionContents> Session::Contents(std::size_t max_bytes) const {
  SharedStream* stream = nullptr;
  {
    const std::lock_guard lock(mutex_);
    stream = stream_.get();
  }
  // Whoever draws holds this: the stream and the steps that were drawn from it belong together.
  const std::unique_lock turn =
      stream != nullptr ? std::unique_lock(stream->mutex) : std::unique_lock<std::mutex>();
  const std::lock_guard lock(mutex_);
  FieldCollector fields(max_bytes);
  for (const auto& [id, layer] : layers_) DROPOUTD_RETURN_IF_ERROR(CollectFields(*layer, fields));
  if (stream != nullptr) {
    DROPOUTD_RETURN_IF_ERROR(fields.Add(StreamField(), stream->noise.State()));
  }
  return SessionContents{ImageLocked(), fields.Take()};
}

absl::Status Session::CollectFields(const LayerState& layer, FieldCollector& fields) const {
  std::set<std::uint64_t> revisions;
  std::set<std::uint64_t> versions;
  const auto add_parameters = [&](std::uint64_t version, const SharedParameters& parameters) {
    if (version == 0 || !versions.insert(version).second) return absl::OkStatus();
    return fields.Add(ParametersField(layer.uid, version), EncodeParameters(*parameters));
  };
  DROPOUTD_RETURN_IF_ERROR(add_parameters(layer.parameters_version, layer.parameters));
  for (const auto& [key, record] : layer.steps.records()) {
    std::shared_ptr<const RetainedInput> input;
    if (record.input_id != 0) {
      input = budget_.inputs.Get(record.input_id);
      if (input == nullptr) continue;
      DROPOUTD_RETURN_IF_ERROR(add_parameters(input->parameters_version, input->parameters));
    }
    if (revisions.insert(record.revision).second) {
      DROPOUTD_RETURN_IF_ERROR(
          fields.Add(ConfigField(layer.uid, record.revision), EncodeLayer(*record.config)));
    }
    DROPOUTD_RETURN_IF_ERROR(
        fields.Add(StepField(layer.uid, key), EncodeRecord(record, input.get())));
  }
  return absl::OkStatus();
}

absl::Status Session::Install(SessionParts parts) {
  const std::lock_guard lock(mutex_);
  if (parts.stream.has_value()) {
    stream_ = std::make_unique<SharedStream>(seed_);
    stream_->noise = *parts.stream;
  }
  for (SessionParts::Step& step : parts.steps) {
    for (const auto& [id, layer] : layers_) {
      if (layer->uid != step.uid) continue;
      DROPOUTD_RETURN_IF_ERROR(InstallStep(*layer, std::move(step)));
      break;
    }
  }
  return absl::OkStatus();
}

absl::Status Session::InstallStep(LayerState& layer, SessionParts::Step step) {
  DROPOUTD_RETURN_IF_ERROR(MakeRoomLocked(layer, step.key));
  const auto& pinned = step.record.pinned;
  if (pinned != nullptr) DROPOUTD_RETURN_IF_ERROR(budget_.cache.Reserve(pinned->byte_size()));
  if (step.input != nullptr) step.record.input_id = budget_.inputs.NewId();
  const CacheId input_id = step.record.input_id;
  layer.steps.Put(step.key, std::move(step.record));
  if (step.input != nullptr) budget_.inputs.Put(input_id, std::move(step.input));
  return absl::OkStatus();
}

}  // namespace dropoutd
