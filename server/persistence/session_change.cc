#include "server/persistence/session_change.h"

#include "server/persistence/field_names.h"
#include "server/persistence/session_codec.h"

namespace dropoutd {
namespace {

const LayerImage* FindByUid(const SessionImage& image, const LayerImage& layer) {
  const auto found = image.layers.find(layer.config->layer_id);
  if (found == image.layers.end() || found->second->uid != layer.uid) return nullptr;
  return found->second.get();
}

void AddParameters(const LayerImage* before, const LayerImage& after, StoreChange& change) {
  if (!after.parameters_id) return;
  if (before != nullptr && before->parameters_id == after.parameters_id) return;
  change.writes.push_back(
      {ParametersField(after.uid, after.parameters_id), EncodeParameters(*after.parameters), {}});
}

}  // namespace

StoreChange ChangeBetween(const SessionImage& before, const SessionImage& after) {
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = after.incarnation;
  if (before.mode != after.mode) change.parts.push_back(EncodeHead(after));
  for (const auto& [id, layer] : after.layers) {
    const LayerImage* const was = FindByUid(before, *layer);
    if (was == layer.get()) continue;
    change.parts.push_back(EncodeLayer(*layer));
    AddParameters(was, *layer, change);
  }
  for (const std::uint64_t uid : LayersGone(before, after)) {
    change.parts.push_back({LayerPartName(uid), std::nullopt});
  }
  if (change.parts.empty()) change.parts.push_back(EncodeHead(after));
  return change;
}

StoreChange ChangeTo(const SessionImage& image) {
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = image.incarnation;
  change.parts = EncodeSession(image);
  for (const auto& [id, layer] : image.layers) AddParameters(nullptr, *layer, change);
  return change;
}

std::vector<std::uint64_t> LayersGone(const SessionImage& before, const SessionImage& after) {
  std::vector<std::uint64_t> uids;
  for (const auto& [id, layer] : before.layers) {
    if (FindByUid(after, *layer) == nullptr) uids.push_back(layer->uid);
  }
  return uids;
}

std::vector<std::uint64_t> LayersWithNewParameters(const SessionImage& before,
                                                   const SessionImage& after) {
  std::vector<std::uint64_t> uids;
  for (const auto& [id, layer] : after.layers) {
    const LayerImage* const was = FindByUid(before, *layer);
    if (was != nullptr && was->parameters_id && was->parameters_id != layer->parameters_id) {
      uids.push_back(layer->uid);
    }
  }
  return uids;
}

}  // namespace dropoutd
