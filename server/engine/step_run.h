// A Forward or Backward in progress.
#ifndef DROPOUTD_SERVER_ENGINE_STEP_RUN_H_
#define DROPOUTD_SERVER_ENGINE_STEP_RUN_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "server/dropout/concrete_gradient.h"
#include "server/dropout/linear.h"
#include "server/dropout/pass.h"
#include "server/dropout/plan.h"
#include "server/session/retained_input.h"

namespace dropoutd {

// A mask; Mask in the proto. Either bits or multipliers.
struct MaskView {
  Shape shape;
  double scale = 1.0;
  std::vector<double> sample_scales;
  SharedBits bits;
  std::vector<double> multipliers;
  Mode mode = Mode::kTrain;  // Of the step's Forward, else the layer's now.
};

struct ForwardOutcome {
  Mode mode = Mode::kTrain;
  double p = 0.0;
  std::optional<MaskView> mask;  // If it was asked for.
};

// When a Forward has its first effect: at once, or with Engine::StartForward.
enum class ForwardStart { kNow, kLater };

struct ForwardOptions {
  bool return_mask = false;
  ForwardStart start = ForwardStart::kNow;
};

struct BackwardOptions {
  bool release = false;
  std::optional<double> weight_squared_norm;  // For concrete's weight regulariser.
};

struct BackwardOutcome {
  std::vector<Parameter> parameter_gradients;
};

// Made and finished by the engine, which it must not outlive. Holds its session and layer, and no
// lock. Move-only; one thread at a time, but for Run.
class StepRun {
 public:
  StepRun(StepRun&&) noexcept;
  StepRun& operator=(StepRun&&) noexcept;
  ~StepRun();

  // That the step is applied with.
  Mode mode() const;
  double p() const;

  // Of the answer's tensor, which has the type of the call's.
  const Shape& output_shape() const;

  // Memory that it holds until it ends, besides the tensors that Run is given: noise that is drawn
  // ahead, bits that are kept, an input that is retained.
  std::size_t held_bytes() const;

  // False: only one Run, of the whole tensor, aligned for its type, into another place.
  bool piecewise() const;

  // Whether elements may Run before StartForward: not if it draws their noise.
  bool streams() const;

  // Elements may Run in any order, and several threads at once, each with its own.
  bool parallel() const;

  // Elements begin .. begin + n - 1 of the call's tensor, from x to y, each
  // once and in their order where not parallel(). begin and, but for the end, n are multiples of
  // Pass::kGranule. x and y have any alignment; they may be the same place, and must not overlap
  // otherwise.
  void Run(std::size_t begin, std::size_t n, const void* x, void* y);

 private:
  friend class Engine;
  struct State;

  explicit StepRun(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_ENGINE_STEP_RUN_H_
