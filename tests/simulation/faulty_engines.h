// Engines with faults that ours had.
#ifndef DROPOUTD_TESTS_SIMULATION_FAULTY_ENGINES_H_
#define DROPOUTD_TESTS_SIMULATION_FAULTY_ENGINES_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/simulation/engine_face.h"

namespace dropoutd {

// Keeps a Forward's record before the caller's check, or its last byte.
class HastyEngine final : public EngineFace {
 public:
  using EngineFace::EngineFace;

  absl::StatusOr<ForwardOutcome> Forward(const StepRef& at, const TensorRef& input, void* output,
                                         ForwardEnd end) override {
    const bool fails = end == ForwardEnd::kRefused || end == ForwardEnd::kAbandoned;
    if (fails) EngineFace::Forward(at, input, output, ForwardEnd::kWhole).IgnoreError();
    return EngineFace::Forward(at, input, output, end);
  }
};

// Shows parameters that are not committed yet, and may never be.
class DirtyEngine final : public EngineFace {
 public:
  using EngineFace::EngineFace;

  absl::Status SetParameters(std::string_view key, std::string_view layer,
                             std::vector<Parameter> parameters) override {
    const std::string name(key);
    Parameters shown;
    for (const Parameter& each : parameters) shown.Set(each);
    dirty_[name] = std::make_shared<const Parameters>(std::move(shown));
    const absl::Status status = EngineFace::SetParameters(key, layer, std::move(parameters));
    if (ReasonOf(status) != Reason::kStoreUnavailable) dirty_.erase(name);
    return status;
  }

  absl::StatusOr<SharedParameters> GetParameters(std::string_view key,
                                                 std::string_view layer) override {
    auto parameters = EngineFace::GetParameters(key, layer);
    const auto found = dirty_.find(std::string(key));
    if (parameters.ok() && found != dirty_.end()) return found->second;
    return parameters;
  }

 private:
  std::map<std::string, SharedParameters> dirty_;
};

// Where it has no record of a step it takes that of the next.
class GuessingEngine final : public EngineFace {
 public:
  using EngineFace::EngineFace;

  absl::Status Backward(const StepRef& at, const TensorRef& gradient, void* output,
                        bool release) override {
    const absl::Status status = EngineFace::Backward(at, gradient, output, release);
    if (ReasonOf(status) != Reason::kStepNotFound) return status;
    StepRef other = at;
    other.step = *at.step + 1;
    return EngineFace::Backward(other, gradient, output, false).ok() ? absl::OkStatus() : status;
  }
};

// Answers what is there, whatever it was made from.
class ForgivingEngine final : public EngineFace {
 public:
  using EngineFace::EngineFace;

  absl::StatusOr<SessionView> CreateSession(SessionSpec spec) override {
    const std::string key = spec.session_id;
    auto view = EngineFace::CreateSession(std::move(spec));
    if (ReasonOf(view.status()) != Reason::kSessionExists) return view;
    return GetSession(key);
  }
};

// What a session has cost is never given back.
class LeakingEngine final : public EngineFace {
 public:
  using EngineFace::EngineFace;

  absl::Status DeleteSession(std::string_view key) override {
    auto parameters = EngineFace::GetParameters(key, LayerIdOf(kConcreteLayer));
    if (parameters.ok()) leaked_.push_back(*std::move(parameters));
    return EngineFace::DeleteSession(key);
  }

 private:
  std::vector<SharedParameters> leaked_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_FAULTY_ENGINES_H_
