// What the engine room's tests share: short forms, and plain references to compare with.
#ifndef DROPOUTD_TESTS_ENGINE_SUPPORT_H_
#define DROPOUTD_TESTS_ENGINE_SUPPORT_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/dropout/pass.h"
#include "server/dropout/plan.h"
#include "server/engine/engine.h"
#include "tests/session/session_examples.h"

namespace dropoutd {

inline Shape MakeShape(std::initializer_list<std::int64_t> sizes) {
  return Shape::Make({sizes.begin(), sizes.size()}).value();
}

inline bool BitAt(const PackedBits& bits, std::size_t i) { return bits.Read(i, 1) != 0; }

// Values without zeros, so that a dropped element shows.
inline std::vector<float> MakeValues(std::size_t count, unsigned seed) {
  std::minstd_rand random(seed + 1);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(1 + random() % 1000) / 8.0f;
  return values;
}

// The mask of a layer of a counter-based generator, straight from its coordinates.
inline PackedBits ReferenceBits(std::uint64_t seed, const LayerConfig& config, std::uint64_t step,
                                std::int64_t sample_offset, const Shape& shape) {
  return DrawBits(
      MakePlan(config, Mode::kTrain, config.p, {seed, step, sample_offset}, shape).value());
}

// What masking gives element by element, for noise of the tensor's own shape.
inline std::vector<float> ReferenceMasked(const PackedBits& bits, double p,
                                          const std::vector<float>& x) {
  const auto scale = static_cast<float>(1.0 / (1.0 - p));
  std::vector<float> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = BitAt(bits, i) ? x[i] * scale : 0.0f;
  return y;
}

// A step of a layer, with float32 tensors of one shape.
struct Place {
  std::string session_id;
  std::string layer_id;
  std::optional<std::uint64_t> step;
  std::int64_t sample_offset = 0;

  StepRef Ref() const { return {session_id, layer_id, step, sample_offset}; }
};

struct ForwardAnswer {
  std::vector<float> y;
  ForwardOutcome outcome;
};

// Forward that asks for the mask too.
inline absl::StatusOr<ForwardAnswer> RunForward(Engine& engine, const Place& at, const Shape& shape,
                                                const std::vector<float>& x) {
  ForwardAnswer answer;
  answer.y.resize(x.size());
  auto outcome = engine.Forward(at.Ref(), {DataType::kFloat32, shape, x.data()}, answer.y.data(),
                                /*return_mask=*/true);
  if (!outcome.ok()) return outcome.status();
  answer.outcome = *std::move(outcome);
  return answer;
}

inline absl::StatusOr<std::vector<float>> RunBackward(Engine& engine, const Place& at,
                                                      const Shape& shape,
                                                      const std::vector<float>& dy,
                                                      bool release = false) {
  std::vector<float> dx(dy.size());
  const absl::Status status =
      engine.Backward(at.Ref(), {DataType::kFloat32, shape, dy.data()}, dx.data(), release);
  if (!status.ok()) return status;
  return dx;
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_ENGINE_SUPPORT_H_
