#include "server/engine/step_run.h"

#include <chrono>
#include <cstring>
#include <utility>

#include "server/engine/step_run_state.h"

namespace dropoutd {

StepRun::StepRun(std::unique_ptr<State> state) : state_(std::move(state)) {}
StepRun::StepRun(StepRun&&) noexcept = default;
StepRun& StepRun::operator=(StepRun&&) noexcept = default;
StepRun::~StepRun() = default;

Mode StepRun::mode() const { return state_->place.layer.mode(); }
double StepRun::p() const { return state_->plan.rate.p; }
const Shape& StepRun::output_shape() const { return state_->output_shape; }

std::size_t StepRun::held_bytes() const { return state_->held_bytes; }

bool StepRun::piecewise() const { return state_->plan.action != Action::kLinear; }

bool StepRun::streams() const { return piecewise() && !state_->draws_from_stream; }

// The sums of concrete's gradient depend on the order of the elements.
bool StepRun::parallel() const { return piecewise() && !state_->concrete.has_value(); }

void StepRun::Run(std::size_t begin, std::size_t n, const void* x, void* y) {
  State& s = *state_;
  const auto start = std::chrono::steady_clock::now();
  // Before the pass, which may write over x.
  if (s.retaining != nullptr) {
    const auto size = static_cast<std::size_t>(ElementSize(s.dtype));
    std::memcpy(s.retaining->data.get() + begin * size, x, n * size);
  }
  if (s.concrete.has_value()) s.concrete->Add(begin, n, s.dtype, x);
  if (s.pass.has_value()) {
    s.pass->Run(begin, n, x, y);
  } else if (s.is_forward) {
    LinearForward(s.plan, *s.linear_parameters, s.dtype, x, y);
  } else {
    const RetainedInput* const input = s.retained.get();
    s.linear =
        LinearBackward(s.plan, *s.linear_parameters, input != nullptr ? input->dtype : s.dtype,
                       input != nullptr ? input->data.get() : nullptr, s.dtype, x, y);
  }
  s.counters.CountKernel(s.is_forward, std::chrono::steady_clock::now() - start);
}

}  // namespace dropoutd
