// Fuzz target: what a store or a snapshot may hold, whatever its bytes. Byte 0 picks the kind of
// record.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/base/crc32c.h"
#include "server/dropout/variant.h"
#include "server/session/engine.h"
#include "server/session/layer_codec.h"
#include "server/session/session_codec.h"
#include "server/session/session_contents.h"
#include "tests/session/manual_clock.h"

namespace {

using namespace dropoutd;

// What is taken for good comes back as it was.
void CheckSession(std::string_view bytes) {
  const auto session = DecodeSession(bytes);
  if (!session.ok()) return;
  const auto again = DecodeSession(EncodeSession(*session));
  if (!again.ok() || EncodeSession(*again) != EncodeSession(*session)) std::abort();
}

void CheckLayer(std::string_view bytes) {
  const auto layer = DecodeLayer(bytes);
  if (!layer.ok()) return;
  const auto again = DecodeLayer(EncodeLayer(*layer));
  // As bytes: a number that nobody uses may be no number.
  if (!again.ok() || EncodeLayer(*again) != EncodeLayer(*layer)) std::abort();
}

void CheckStep(std::string_view bytes) {
  const auto step = DecodeStep(bytes);
  if (!step.ok()) return;
  const std::string encoded = EncodeStep(step->image, step->payload);
  const auto again = DecodeStep(encoded);
  if (!again.ok() || again->payload != step->payload || again->image.shape != step->image.shape) {
    std::abort();
  }
}

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
    auto backward = engine.BeginBackward(at, DataType::kFloat32, output, {});
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

// A snapshot with a right checksum, so that its inside is looked at, and used if it is taken.
void CheckSnapshot(std::string_view inside) {
  std::string bytes = "dropout session\n";
  bytes += inside;
  const std::uint32_t crc = Crc32c(bytes);
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(crc >> shift);
  // Time stands still: no session ends, however short its life.
  static const ManualClock* const clock = new ManualClock;
  static Engine* const engine = [] {
    Limits limits;
    limits.max_mask_bytes = 1 << 20;
    return new Engine(limits, *clock);
  }();
  const auto session = engine->ImportSession("s", bytes);
  if (session.ok()) {
    Use(*engine, *session);
    if (!engine->ExportSession("s").ok() || !engine->DeleteSession("s").ok()) std::abort();
  }
  const EngineSummary summary = engine->Summary();
  if (summary.parameter_bytes != 0 || summary.steps != 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 7) {
    case 0:
      CheckSession(bytes);
      break;
    case 1:
      CheckStep(bytes);
      break;
    case 2:
      CheckLayer(bytes);
      break;
    case 3:
      static_cast<void>(DecodeParameters(bytes));
      break;
    case 4:
      static_cast<void>(DecodeInput(bytes));
      break;
    case 5:
      static_cast<void>(DecodeBits(bytes));
      break;
    default:
      CheckSnapshot(bytes);
  }
  return 0;
}
