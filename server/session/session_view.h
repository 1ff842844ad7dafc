// Sessions and layers as clients see them.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_VIEW_H_
#define DROPOUTD_SERVER_SESSION_SESSION_VIEW_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/session/clock.h"
#include "server/session/session_image.h"

namespace dropoutd {

// A layer at one moment.
struct LayerView {
  SharedConfig config;
  Mode mode = Mode::kTrain;
  std::uint64_t revision = 0;
};

// A session at one moment.
struct SessionView {
  std::string session_id;  // Its key.
  std::uint64_t seed = 0;
  Mode mode = Mode::kTrain;
  std::vector<LayerView> layers;  // Sorted by layer_id.
  Nanoseconds ttl{0};
  WallTime create_time;
  WallTime expire_time;
};

LayerView ViewOf(const LayerImage& layer);
SessionView ViewOf(std::string_view key, const SessionImage& image, WallTime expire_time);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_VIEW_H_
