#include "server/session/session_spec.h"

#include <algorithm>

namespace dropoutd {

bool IsMadeFrom(const SessionImage& image, const SessionSpec& spec) {
  if (spec.mode != image.created_mode || spec.ttl != image.ttl_given ||
      spec.seed.has_value() != image.seed_given || (image.seed_given && *spec.seed != image.seed)) {
    return false;
  }
  return std::equal(spec.layers.begin(), spec.layers.end(), image.created_layers.begin(),
                    image.created_layers.end(),
                    [](const LayerConfig& a, const SharedConfig& b) { return a == *b; });
}

}  // namespace dropoutd
