// What a session is made from.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_SPEC_H_
#define DROPOUTD_SERVER_SESSION_SESSION_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/dropout/layer_config.h"
#include "server/session/clock.h"
#include "server/session/session_image.h"

namespace dropoutd {

struct SessionSpec {
  std::string session_id;             // Its key; without an id in it the server picks one.
  std::optional<std::uint64_t> seed;  // Nothing: the server draws one.
  std::vector<LayerConfig> layers;
  Mode mode = Mode::kTrain;
  std::optional<Nanoseconds> ttl;  // Nothing: the server's default.
};

// Whether CreateSession has made the session from such a spec: then a second one is a retry. What
// was moved here is still made from it; a fork was made from no spec.
bool IsMadeFrom(const SessionImage& image, const SessionSpec& spec);

// As SessionImage::ttl_given: made from no spec, as none can ask for it.
inline constexpr Nanoseconds kNoSpec{0};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_SPEC_H_
