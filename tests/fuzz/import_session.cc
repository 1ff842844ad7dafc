#include "tests/fuzz/import_session.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/dropout/variant.h"
#include "server/engine/engine.h"
#include "tests/engine/manual_clock.h"

namespace dropoutd {
namespace {

// The steps that the snapshots of the corpus have, and one more.
constexpr std::uint64_t kSteps[] = {1, 2, 3, 9};
constexpr std::uint64_t kSequence = 5;
constexpr std::int64_t kMostFeatures = 64;

// Backward, GetMask and Forward at a step, each before and after another.
void UseStep(Engine& engine, const StepRef& at, const Shape& input, const Shape& output) {
  const std::vector<float> x(static_cast<std::size_t>(input.ElementCount()), 1.0f);
  const std::vector<float> dy(static_cast<std::size_t>(output.ElementCount()), 1.0f);
  std::vector<float> y(dy.size());
  std::vector<float> dx(x.size());
  for (int i = 0; i < 2; ++i) {
    static_cast<void>(engine.GetMask(at, std::nullopt));
    auto backward = engine.BeginBackward(at, DataType::kFloat32, output, {},
                                         [](const StepRun&) { return absl::OkStatus(); });
    // A layer may have had other sizes at the step.
    if (backward.ok() && backward->output_shape() == input) {
      backward->Run(0, dy.size(), dy.data(), dx.data());
      static_cast<void>(engine.FinishBackward(*backward));
    }
    if (i == 0) {
      static_cast<void>(engine.Forward(at, {DataType::kFloat32, input, x.data()}, y.data(), true));
    }
  }
}

void Use(Engine& engine, const SessionView& session) {
  for (const LayerView& layer : session.layers) {
    std::array<std::int64_t, 4> input = {2, 2, 2, 2};
    std::array<std::int64_t, 4> output = input;
    if (IsLinear(*layer.config)) {
      const auto& options = std::get<DropConnectOptions>(layer.config->options);
      input.back() = options.in_features;
      output.back() = options.out_features;
      if (std::max(input.back(), output.back()) > kMostFeatures) continue;
    }
    for (const std::uint64_t step : kSteps) {
      StepRef at{session.session_id, layer.config->layer_id, step};
      at.sequence_id = kSequence;
      UseStep(engine, at, *Shape::Make(input), *Shape::Make(output));
    }
  }
}

}  // namespace

void ImportAndUse(std::string_view file) {
  // Time stands still: no session ends, however short its life.
  static const ManualClock* const clock = new ManualClock;
  static Engine* const engine = [] {
    Limits limits;
    limits.max_mask_bytes = 1 << 20;
    return new Engine(limits, *clock);
  }();
  const auto session = engine->ImportSession("s", std::string(file));
  if (session.ok()) {
    Use(*engine, *session);
    if (!engine->ExportSession("s").ok() || !engine->DeleteSession("s").ok()) std::abort();
  }
  const EngineSummary summary = engine->Summary();
  if (summary.parameter_bytes != 0 || summary.steps != 0) std::abort();
}

}  // namespace dropoutd
