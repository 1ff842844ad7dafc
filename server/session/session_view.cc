#include "server/session/session_view.h"

namespace dropoutd {

LayerView ViewOf(const LayerImage& layer) { return {layer.config, layer.mode, layer.revision}; }

SessionView ViewOf(std::string_view key, const SessionImage& image, WallTime expire_time) {
  SessionView view;
  view.session_id = key;
  view.seed = image.seed;
  view.mode = image.mode;
  view.ttl = image.ttl;
  view.create_time = image.create_time;
  view.expire_time = expire_time;
  view.layers.reserve(image.layers.size());
  for (const auto& [id, layer] : image.layers) view.layers.push_back(ViewOf(*layer));
  return view;
}

}  // namespace dropoutd
