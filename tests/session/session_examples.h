// Layers, sessions and time for the session room's tests.
#ifndef DROPOUTD_TESTS_SESSION_SESSION_EXAMPLES_H_
#define DROPOUTD_TESTS_SESSION_SESSION_EXAMPLES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/session/budgets.h"
#include "server/session/session.h"
#include "server/session/session_changes.h"
#include "server/session/session_spec.h"
#include "tests/session/short_forms.h"

namespace dropoutd {

inline LayerConfig MakeLayer(std::string layer_id, double p,
                             Generator generator = Generator::kPhilox) {
  LayerConfig config;
  config.layer_id = std::move(layer_id);
  config.p = p;
  config.generator = generator;
  return config;
}

inline SessionSpec MakeSpec(std::string session_id, std::uint64_t seed,
                            std::vector<LayerConfig> layers) {
  SessionSpec spec;
  spec.session_id = std::move(session_id);
  spec.seed = seed;
  spec.layers = std::move(layers);
  return spec;
}

// A layer that learns p, with 8 bytes of parameters.
inline LayerConfig MakeConcrete(std::string layer_id, double p) {
  LayerConfig config = MakeLayer(std::move(layer_id), p);
  config.options = ConcreteOptions();
  return config;
}

// A linear layer of 2 features each way, without a bias.
inline LayerConfig MakeLinear(std::string layer_id) {
  LayerConfig config = MakeLayer(std::move(layer_id), 0.5);
  DropConnectOptions options;
  options.in_features = 2;
  options.out_features = 2;
  options.bias = false;
  config.options = options;
  return config;
}

// Of such a linear layer: 16 bytes.
inline Parameter MakeWeight() {
  return {"weight", DataType::kFloat32, *Shape::Make(std::vector<std::int64_t>{2, 2}),
          std::vector<std::byte>(16, std::byte{1})};
}

inline SharedVersion MakeVersion(SharedImage image, Token token = {}) {
  return std::make_shared<const Version>(Version{std::move(image), token});
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SESSION_SESSION_EXAMPLES_H_
