// What a session is at one moment, as values.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_IMAGE_H_
#define DROPOUTD_SERVER_SESSION_SESSION_IMAGE_H_

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/base/token.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/parameters.h"
#include "server/session/clock.h"

namespace dropoutd {

using SharedConfig = std::shared_ptr<const LayerConfig>;

// Names the parameters that a layer has or had: `number` counts them, so that the oldest are known,
// and `random` tells those of two servers apart that counted alike. Number 0 is none.
struct ParametersId {
  std::uint64_t number = 0;
  std::uint64_t random = 0;  // 0: of format 1.

  explicit operator bool() const { return number != 0; }
  friend auto operator<=>(const ParametersId&, const ParametersId&) = default;
};

// A layer as it is. Immutable once shared.
struct LayerImage {
  std::uint64_t uid = 0;  // Drawn for this layer: one made later under the same id has another.
  SharedConfig created;   // As CreateLayer had it, to know a retry.
  SharedConfig config;
  Mode mode = Mode::kTrain;
  std::uint64_t revision = 1;
  ParametersId parameters_id;
  SharedParameters parameters;  // Null exactly where the id is none.

  // Records of steps up to this one are gone, though a store may not have erased them all yet.
  // Nothing may be written there before it has.
  std::optional<std::uint64_t> releasing;

  std::string unknown;  // What a later version has stored with it; opaque.
};
using SharedLayer = std::shared_ptr<const LayerImage>;

// A session without its steps. Copies share their layers. Immutable once shared.
struct SessionImage {
  Token incarnation;  // Drawn when it is made.
  Token origin;       // Of a copy: names what it was made from.
  std::uint64_t seed = 0;
  Nanoseconds ttl{0};
  WallTime create_time;
  Mode mode = Mode::kTrain;                                // Of later layers.
  std::map<std::string, SharedLayer, std::less<>> layers;  // By their ids.

  // As CreateSession had it, to know a retry.
  bool seed_given = false;
  std::optional<Nanoseconds> ttl_given;
  Mode created_mode = Mode::kTrain;
  std::vector<SharedConfig> created_layers;

  std::string unknown;  // As a layer's.
};
using SharedImage = std::shared_ptr<const SessionImage>;

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_IMAGE_H_
