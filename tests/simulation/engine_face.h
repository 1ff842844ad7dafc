// What clients ask of an engine, for mutations to come between.
#ifndef DROPOUTD_TESTS_SIMULATION_ENGINE_FACE_H_
#define DROPOUTD_TESTS_SIMULATION_ENGINE_FACE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/engine/engine.h"
#include "tests/simulation/session_state.h"

namespace dropoutd {

// Passes all calls on.
class EngineFace {
 public:
  explicit EngineFace(Engine& engine) : engine_(engine) {}
  virtual ~EngineFace() = default;

  virtual absl::StatusOr<SessionView> CreateSession(SessionSpec spec) {
    return engine_.CreateSession(std::move(spec));
  }
  virtual absl::StatusOr<SessionView> GetSession(std::string_view key) {
    return engine_.GetSession(key);
  }
  virtual absl::StatusOr<SessionPage> ListSessions(std::string_view after, std::size_t count) {
    return engine_.ListSessions(after, count);
  }
  virtual absl::Status DeleteSession(std::string_view key) { return engine_.DeleteSession(key); }
  virtual absl::StatusOr<std::string> ExportSession(std::string_view key) {
    return engine_.ExportSession(key);
  }
  virtual absl::StatusOr<SessionView> ImportSession(std::string key, std::string_view snapshot) {
    return engine_.ImportSession(std::move(key), snapshot);
  }
  virtual absl::StatusOr<SessionView> ForkSession(std::string_view from, std::string key) {
    return engine_.ForkSession(from, std::move(key));
  }
  virtual absl::StatusOr<LayerView> CreateLayer(std::string_view key, const LayerConfig& config) {
    return engine_.CreateLayer(key, config);
  }
  virtual absl::StatusOr<LayerView> UpdateLayer(std::string_view key, const LayerConfig& config) {
    return engine_.UpdateLayer(key, config);
  }
  virtual absl::Status DeleteLayer(std::string_view key, std::string_view layer) {
    return engine_.DeleteLayer(key, layer);
  }
  virtual absl::StatusOr<std::vector<std::string>> SetMode(std::string_view key, Mode mode,
                                                           const std::vector<std::string>& layers) {
    return engine_.SetMode(key, mode, layers);
  }
  virtual absl::Status SetParameters(std::string_view key, std::string_view layer,
                                     std::vector<Parameter> parameters) {
    return engine_.SetParameters(key, layer, std::move(parameters));
  }
  virtual absl::StatusOr<SharedParameters> GetParameters(std::string_view key,
                                                         std::string_view layer) {
    return engine_.GetParameters(key, layer);
  }

  // As far as `end`: a refused one fails its caller's check with REGION_NOT_FOUND, an abandoned one
  // answers CANCELLED when it has begun and run.
  virtual absl::StatusOr<ForwardOutcome> Forward(const StepRef& at, const TensorRef& input,
                                                 void* output, ForwardEnd end) {
    if (end == ForwardEnd::kWhole) return engine_.Forward(at, input, output, false);
    const auto check = [end](const StepRun&) {
      return end == ForwardEnd::kRefused
                 ? MakeError(Reason::kRegionNotFound, "output: no such region")
                 : absl::OkStatus();
    };
    const auto start = end == ForwardEnd::kRefused ? ForwardStart::kNow : ForwardStart::kLater;
    DROPOUTD_ASSIGN_OR_RETURN(
        StepRun run, engine_.BeginForward(at, input.dtype, input.shape, {false, start}, check));
    run.Run(0, static_cast<std::size_t>(input.shape.ElementCount()), input.data, output);
    if (end == ForwardEnd::kAbandoned) return absl::CancelledError("the stream has ended early");
    DROPOUTD_RETURN_IF_ERROR(engine_.StartForward(run));
    return engine_.FinishForward(run);
  }
  virtual absl::Status Backward(const StepRef& at, const TensorRef& gradient, void* output,
                                bool release) {
    return engine_.Backward(at, gradient, output, release);
  }
  virtual absl::StatusOr<MaskView> GetMask(const StepRef& at, const std::optional<Shape>& shape) {
    return engine_.GetMask(at, shape);
  }
  virtual absl::StatusOr<std::uint64_t> ReleaseSteps(std::string_view key, std::string_view layer,
                                                     std::uint64_t through) {
    return engine_.ReleaseSteps(key, layer, through);
  }

 protected:
  Engine& engine() { return engine_; }

 private:
  Engine& engine_;
};

using MakeEngineFace = std::function<std::unique_ptr<EngineFace>(Engine& engine)>;

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_ENGINE_FACE_H_
