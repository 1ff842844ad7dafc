#include "tests/fuzz/use_session.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "server/base/error.h"
#include "server/dropout/variant.h"

namespace dropoutd {
namespace {

// The steps that the sessions of the corpus have, and one more; and what is new in either mode.
constexpr std::uint64_t kSteps[] = {1, 2, 3, 9};
constexpr std::uint64_t kNewSteps[] = {10};
constexpr std::uint64_t kSequence = 5;
constexpr std::int64_t kMostFeatures = 64;
constexpr char kCopy[] = "copy";

// The variants of layers that answered in a mode.
class Reached {
 public:
  void Add(const LayerConfig& config, Mode mode) {
    counts_[config.options.index()][mode == Mode::kTrain ? 0 : 1] = true;
  }

  void Print() const {
    std::size_t count = 0;
    std::string missing;
    for (std::size_t i = 0; i < kVariants.size(); ++i) {
      const bool is_whole = counts_[i][0] && counts_[i][1];
      count += is_whole ? 1 : 0;
      if (!is_whole) missing += " " + std::string(kVariants[i].name);
    }
    std::printf("variants used in train and eval: %zu of %zu\n", count, kVariants.size());
    if (!missing.empty()) std::printf("never reached:%s\n", missing.c_str());
  }

 private:
  std::array<std::array<bool, 2>, kVariants.size()> counts_{};
};

Reached& TheReached() {
  static Reached* const reached = [] {
    std::atexit([] { TheReached().Print(); });
    return new Reached;
  }();
  return *reached;
}

// Backward, GetMask and Forward at a step, each before and after another. Whether a Forward was
// answered.
bool UseStep(Engine& engine, const StepRef& at, const Shape& input, const Shape& output) {
  const std::vector<float> x(static_cast<std::size_t>(input.ElementCount()), 1.0f);
  const std::vector<float> dy(static_cast<std::size_t>(output.ElementCount()), 1.0f);
  std::vector<float> y(dy.size());
  std::vector<float> dx(x.size());
  bool is_answered = false;
  for (int i = 0; i < 2; ++i) {
    IsAnswer(engine.GetMask(at, std::nullopt).status());
    auto backward = engine.BeginBackward(at, DataType::kFloat32, output, {},
                                         [](const StepRun&) { return absl::OkStatus(); });
    // A layer may have had other sizes at the step.
    if (IsAnswer(backward.status()) && backward->output_shape() == input) {
      backward->Run(0, dy.size(), dy.data(), dx.data());
      IsAnswer(engine.FinishBackward(*backward).status());
    }
    if (i == 0) {
      const auto forward =
          engine.Forward(at, {DataType::kFloat32, input, x.data()}, y.data(), true);
      is_answered = IsAnswer(forward.status());
    }
  }
  return is_answered;
}

void UseLayer(Engine& engine, const std::string& session, const LayerView& layer,
              std::span<const std::uint64_t> steps) {
  const LayerConfig& config = *layer.config;
  std::array<std::int64_t, 4> input = {2, 2, 2, 2};
  std::array<std::int64_t, 4> output = input;
  if (IsLinear(config)) {
    const auto& options = std::get<DropConnectOptions>(config.options);
    input.back() = options.in_features;
    output.back() = options.out_features;
    if (std::max(input.back(), output.back()) > kMostFeatures) return;
  }
  // The weight itself is of two axes, and of the layer's sizes if it has some.
  std::array<std::int64_t, 2> weight = {2, 2};
  const auto* const connect = std::get_if<DropConnectOptions>(&config.options);
  const bool is_weight = connect != nullptr && !IsLinear(config);
  if (is_weight) {
    if (connect->out_features != 0) weight[0] = connect->out_features;
    if (connect->in_features != 0) weight[1] = connect->in_features;
    if (std::max(weight[0], weight[1]) > kMostFeatures) return;
  }
  const Shape in = is_weight ? *Shape::Make(weight) : *Shape::Make(input);
  const Shape out = is_weight ? in : *Shape::Make(output);
  for (const std::uint64_t step : steps) {
    StepRef at{session, config.layer_id, step};
    at.sequence_id = kSequence;
    if (UseStep(engine, at, in, out)) TheReached().Add(config, layer.mode);
  }
  IsAnswer(engine.GetParameters(session, config.layer_id).status());
}

}  // namespace

bool IsAnswer(const absl::Status& status) {
  if (!status.ok() && ReasonOf(status).value_or(Reason::kInternal) == Reason::kInternal) {
    std::fprintf(stderr, "an error without a reason: %s\n", status.ToString().c_str());
    std::abort();
  }
  return status.ok();
}

void UseSession(Engine& engine, const SessionView& session) {
  for (const LayerView& layer : session.layers) UseLayer(engine, session.session_id, layer, kSteps);
  for (const LayerView& layer : session.layers) {
    LayerView other = layer;
    other.mode = layer.mode == Mode::kTrain ? Mode::kEval : Mode::kTrain;
    if (IsAnswer(
            engine.SetMode(session.session_id, other.mode, {layer.config->layer_id}).status())) {
      UseLayer(engine, session.session_id, other, kNewSteps);
    }
  }
  const auto exported = engine.ExportSession(session.session_id);
  if (!IsAnswer(exported.status())) return;
  if (IsAnswer(engine.ImportSession(kCopy, *exported).status())) {
    if (!IsAnswer(engine.DeleteSession(kCopy))) std::abort();
  }
}

}  // namespace dropoutd
