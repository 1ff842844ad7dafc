// Sessions, layers and steps that the persistence room's tests share.
#ifndef DROPOUTD_TESTS_PERSISTENCE_EXAMPLES_H_
#define DROPOUTD_TESTS_PERSISTENCE_EXAMPLES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "server/base/error.h"
#include "server/dropout/plan.h"
#include "server/dropout/variant.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/step_codec.h"

namespace dropoutd {

inline constexpr std::uint64_t kMaxUint64 = std::numeric_limits<std::uint64_t>::max();
inline constexpr std::uint64_t kFirstUid = kMaxUint64 - 100;

// One of each.
inline std::vector<LayerConfig> EveryVariant() {
  std::vector<LayerConfig> layers(11);
  layers[0].options = DropoutOptions{{0, -1}};
  layers[1].options = GaussianOptions{{1}};
  layers[2].options = AlphaOptions{};
  layers[3].options = FeatureAlphaOptions{-2};
  layers[4].options = SpatialOptions{2};
  layers[5].options = DropBlockOptions{
      {3, 5}, 1, DropBlockOptions::Gamma::kPaper, DropBlockOptions::Normalization::kBatch, true};
  layers[6].options = ConcreteOptions{0.2, 1e-6, 1e-5, true};
  layers[7].options = DropConnectOptions{30, 20, false, DropConnectOptions::Scope::kBatch,
                                         DropConnectOptions::Target::kLinear};
  layers[8].options = VariationalOptions{-2};
  layers[9].options = RecurrentOptions{RecurrentOptions::Scope::kStep};
  layers[10].options = StochasticDepthOptions{StochasticDepthOptions::DepthMode::kBatch, 3, 12};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].layer_id = "layer " + std::to_string(i);
    layers[i].p = i == 5 ? 0.1 : 0.25;
  }
  return layers;
}

inline std::vector<LayerConfig> EverySchedule() {
  std::vector<LayerConfig> layers(4);
  layers[0].schedule = LinearSchedule{0.1, 0.5, 3, 900};
  layers[1].schedule = CosineSchedule{0.0, 0.5, 0, std::uint64_t{1} << 40};
  layers[2].schedule = CurriculumSchedule{0.5, 0.001};
  layers[3].schedule = PiecewiseSchedule{{10, 20}, {0.1, 0.2, 0.3}};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].layer_id = "scheduled " + std::to_string(i);
    layers[i].mode = i % 2 == 0 ? Mode::kEval : Mode::kTrain;
    layers[i].scaling = Scaling::kEval;
  }
  return layers;
}

inline LayerImage MakeLayerImage(const LayerConfig& config, std::uint64_t uid) {
  LayerImage layer;
  layer.uid = uid;
  layer.created = std::make_shared<const LayerConfig>(config);
  layer.config = layer.created;
  if (LearnsP(config) || IsLinear(config)) layer.parameters_id = {3, kMaxUint64};
  return layer;
}

// With all that a session can have.
inline SessionImage ExampleSession() {
  SessionImage image;
  image.incarnation = {1, 2};
  image.origin = {kMaxUint64, 5};
  image.seed = kMaxUint64;
  image.seed_given = true;
  image.ttl_given = std::chrono::hours(2);
  image.ttl = std::chrono::hours(1);
  image.create_time = WallTime(std::chrono::nanoseconds(-5));
  image.mode = Mode::kEval;
  for (const LayerConfig& each : EverySchedule()) {
    image.created_layers.push_back(std::make_shared<const LayerConfig>(each));
  }
  std::vector<LayerConfig> configs = EveryVariant();
  for (const LayerConfig& each : EverySchedule()) configs.push_back(each);
  for (const LayerConfig& each : configs) {
    LayerImage layer = MakeLayerImage(each, kFirstUid + image.layers.size());
    layer.mode = Mode::kEval;
    layer.revision = 7;
    layer.releasing = image.layers.size();
    image.layers[each.layer_id] = std::make_shared<const LayerImage>(std::move(layer));
  }
  LayerImage changed = *image.layers.begin()->second;
  LayerConfig config = *changed.config;
  config.p = 0.75;
  changed.config = std::make_shared<const LayerConfig>(config);
  changed.releasing.reset();
  image.layers.begin()->second = std::make_shared<const LayerImage>(std::move(changed));
  return image;
}

// A step of a layer, as its Forward with an input of this shape would record it.
inline StepRecord MakeRecord(const LayerImage& layer, const Shape& shape) {
  StepRecord record;
  record.config = layer.config;
  record.revision = layer.revision;
  record.mode = layer.mode;
  record.rate = DropRate(layer.config->p);
  record.shape = shape;
  return record;
}

inline Shape MakeShape(std::vector<std::int64_t> sizes) { return *Shape::Make(sizes); }

inline Parameters WeightsOf(std::int64_t in, std::int64_t out) {
  Parameters parameters;
  const auto bytes = static_cast<std::size_t>(in * out * 4);
  parameters.Set({std::string(kWeight), DataType::kFloat32, MakeShape({out, in}),
                  std::vector<std::byte>(bytes, std::byte{0})});
  return parameters;
}

// "OK", the reason's name, or the status's own text if it has no reason.
inline std::string ReasonText(const absl::Status& status) {
  if (status.ok()) return "OK";
  const std::optional<Reason> reason = ReasonOf(status);
  return reason.has_value() ? std::string(ReasonName(*reason)) : status.ToString();
}

template <typename T>
std::string ReasonText(const absl::StatusOr<T>& result) {
  return ReasonText(result.status());
}

inline std::string ReadTestFile(const std::string& name) {
  std::ifstream file(std::string(DROPOUTD_TEST_DATA "/") + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// The names and values of a file that has a pair of them in hexadecimal in each line.
inline std::vector<StoreField> ReadFields(const std::string& name) {
  std::istringstream text(ReadTestFile(name));
  std::vector<StoreField> fields;
  std::string key;
  for (std::string value; text >> key >> value;) {
    fields.push_back({FromHex(key), FromHex(value), {}});
  }
  return fields;
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_PERSISTENCE_EXAMPLES_H_
