#include "tests/simulation/export_reader.h"

#include <optional>

#include "server/base/status_macros.h"
#include "server/persistence/session_contents.h"
#include "server/persistence/snapshot_file.h"
#include "server/session/session_spec.h"

namespace dropoutd {
namespace {

// Names layers that were made by no call.
constexpr std::uint32_t kFirstUid = 1u << 30;

absl::Status Strange(const char* what) { return absl::InternalError(what); }

absl::StatusOr<LayerState> ReadLayer(std::uint32_t number, const LayerImage& image) {
  LayerState layer;
  layer.uid = kFirstUid + number;
  layer.created = static_cast<std::uint8_t>(ConfigNumber(number, *image.created));
  layer.config = static_cast<std::uint8_t>(ConfigNumber(number, *image.config));
  layer.mode = image.mode;
  layer.revision = static_cast<std::uint16_t>(image.revision);
  if (number != kConcreteLayer) return layer;
  const Parameter* const logit =
      image.parameters == nullptr ? nullptr : image.parameters->Find(kLogitP);
  if (logit == nullptr) return Strange("the concrete layer has no logit_p");
  layer.logit = static_cast<std::uint8_t>(LogitNumber(FirstElement(*logit)));
  layer.parameters = static_cast<std::uint16_t>(image.parameters_id.number);
  return layer;
}

absl::StatusOr<StepState> ReadStep(std::uint32_t layer, const SessionParts::Step& of) {
  const StepRecord& record = of.record;
  StepState step;
  step.is_there = true;
  step.mode = record.mode;
  step.config = static_cast<std::uint8_t>(ConfigNumber(layer, *record.config));
  if (layer == kConcreteLayer) {
    step.logit = static_cast<std::uint8_t>(LogitNumber(record.rate.logit_p));
    if (of.input != nullptr) {
      step.parameters = static_cast<std::uint16_t>(of.input->parameters_id.number);
    }
  }
  while (step.shape < kSimShapes && ShapeOf(step.shape) != record.shape) ++step.shape;
  if (step.shape == kSimShapes) return Strange("a step has a strange shape");
  return step;
}

std::uint32_t SlotOf(const StepKey& key) {
  std::uint32_t slot = 0;
  while (slot < kSimSlots &&
         (StepOf(slot) != key.step || SampleOffsetOf(slot) != key.sample_offset)) {
    ++slot;
  }
  return slot;
}

}  // namespace

absl::StatusOr<ReadSession> ReadExport(
    std::string_view bytes, const std::function<std::uint32_t(std::uint64_t seed)>& spec_of) {
  DROPOUTD_ASSIGN_OR_RETURN(const Snapshot snapshot, DecodeSnapshot(bytes));
  DROPOUTD_ASSIGN_OR_RETURN(const SessionParts parts, TakeApart(snapshot.contents));
  const SessionImage& image = snapshot.contents.image;
  ReadSession read;
  SessionState& state = read.state;
  read.ttl = image.ttl;
  state.made_by = 1;
  state.seed = image.seed;
  state.mode = image.mode;
  if (image.ttl_given != kNoSpec) state.spec = spec_of(image.seed);
  for (const auto& [id, layer] : image.layers) {
    const auto number = LayerNumber(id);
    if (!number.has_value()) return Strange("there is a strange layer");
    DROPOUTD_ASSIGN_OR_RETURN(state.layers[*number], ReadLayer(*number, *layer));
    for (const SessionParts::Step& step : parts.steps) {
      if (step.uid != layer->uid) continue;
      const std::uint32_t slot = SlotOf(step.key);
      if (slot == kSimSlots) return Strange("there is a strange step");
      DROPOUTD_ASSIGN_OR_RETURN(state.layers[*number].steps[slot], ReadStep(*number, step));
    }
  }
  return read;
}

}  // namespace dropoutd
