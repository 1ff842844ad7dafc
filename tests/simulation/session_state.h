// What a session is to its clients, and what each call makes of it: the contract in plain words.
#ifndef DROPOUTD_TESTS_SIMULATION_SESSION_STATE_H_
#define DROPOUTD_TESTS_SIMULATION_SESSION_STATE_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/base/error.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/shape.h"
#include "server/session/clock.h"
#include "server/session/session_spec.h"
#include "tests/simulation/plain_mask.h"

namespace dropoutd {

// All that clients use, by numbers. The last layer is concrete, the others are plain dropout.
inline constexpr std::uint32_t kSimLayers = 3;
inline constexpr std::uint32_t kConcreteLayer = 2;
inline constexpr std::uint32_t kSimSlots = 6;  // A step and a sample_offset.
inline constexpr std::uint32_t kSimShapes = 3;
inline constexpr std::uint32_t kSimConfigs = 12;  // From 1 on; 0: no layer. The last 3 have p = 0,
                                                  // which concrete has not.
inline constexpr std::uint32_t kSimLogits = 7;    // The first of the configurations' p.

std::string_view LayerIdOf(std::uint32_t layer);
Shape ShapeOf(std::uint32_t shape);
std::uint64_t StepOf(std::uint32_t slot);
std::int64_t SampleOffsetOf(std::uint32_t slot);
LayerConfig ConfigOf(std::uint32_t layer, std::uint32_t config);
double LogitOf(std::uint32_t logit);
// kSimConfigs + 1, kSimLogits: none of them.
std::uint32_t ConfigNumber(std::uint32_t layer, const LayerConfig& config);
std::uint32_t LogitNumber(double logit);
std::optional<std::uint32_t> LayerNumber(std::string_view id);

// What CreateSession is asked.
struct SimSpec {
  std::uint64_t seed = 0;
  Mode mode = Mode::kTrain;
  std::optional<Nanoseconds> ttl;
  std::array<std::uint8_t, kSimLayers> configs = {};

  SessionSpec Make(std::string key) const;
};

struct StepState {
  bool is_there = false;
  Mode mode = Mode::kTrain;
  std::uint8_t config = 0;
  std::uint8_t logit = 0;
  std::uint8_t shape = 0;
  std::uint16_t parameters = 0;  // Those that its gradient needs; 0: none.

  friend auto operator<=>(const StepState&, const StepState&) = default;
};

struct LayerState {
  std::uint32_t uid = 0;  // The call that made it; 0: there is none.
  std::uint8_t created = 0;
  std::uint8_t config = 0;
  std::uint8_t logit = 0;
  Mode mode = Mode::kTrain;
  std::uint16_t revision = 0;
  std::uint16_t parameters = 0;  // How many it has had.
  std::array<StepState, kSimSlots> steps = {};

  // Whether the step's parameters are so old that a store may have forgotten them, and with them
  // what the step was.
  bool MayLack(const StepState& step) const {
    return step.is_there && step.parameters != 0 && parameters - step.parameters >= 8;
  }

  friend auto operator<=>(const LayerState&, const LayerState&) = default;
};

struct SessionState {
  std::uint32_t made_by = 0;  // The call; 0: there is none.
  std::uint32_t spec = 0;     // That it was made from; 0: of a fork.
  std::uint32_t origin = 0;   // Of a copy.
  std::uint64_t seed = 0;
  Mode mode = Mode::kTrain;
  std::array<LayerState, kSimLayers> layers = {};

  bool is_there() const { return made_by != 0; }
  friend auto operator<=>(const SessionState&, const SessionState&) = default;

  std::string Print() const;
};

// Whether what the session's token names is another: all but the records.
bool HasAnotherToken(const SessionState& before, const SessionState& after);

enum class EngineCallKind : std::uint8_t {
  kCreate,
  kFork,
  kImport,
  kGet,
  kList,
  kDelete,
  kCreateLayer,
  kUpdateLayer,
  kDeleteLayer,
  kSetMode,
  kSetLogit,
  kGetLogit,
  kForward,
  kBackward,
  kGetMask,
  kReleaseSteps,
  kExport,
};

// How far a Forward gets.
enum class ForwardEnd : std::uint8_t { kWhole, kLater, kRefused, kAbandoned };

// What a Forward may have found of its layer.
struct SeenLayer {
  std::uint32_t uid = 0;
  std::uint8_t config = 0;
  std::uint8_t logit = 0;
  Mode mode = Mode::kTrain;
  std::uint16_t parameters = 0;

  friend auto operator<=>(const SeenLayer&, const SeenLayer&) = default;
};

// A call, as far as it concerns one session.
struct EngineCall {
  EngineCallKind kind = EngineCallKind::kGet;
  std::uint32_t id = 0;
  std::uint32_t layer = kSimLayers;  // kSimLayers: all.
  std::uint8_t config = 0;
  std::uint8_t logit = 0;
  std::uint8_t shape = 0;
  std::uint8_t layers = 0;  // kSetMode: bits; none: all.
  Mode mode = Mode::kTrain;
  std::uint32_t slot = 0;
  bool has_step = true;
  bool has_shape = true;   // kGetMask.
  bool releases = false;   // kBackward.
  std::uint64_t step = 0;  // kReleaseSteps.
  ForwardEnd end = ForwardEnd::kWhole;
  std::uint32_t spec = 0;                                 // kCreate.
  std::optional<SimSpec> created;                         // kCreate: what the spec is.
  std::uint32_t origin = 0;                               // kFork (else of the source's), kImport.
  std::optional<Nanoseconds> ttl;                         // kImport: what it has from its source.
  std::shared_ptr<const std::set<SessionState>> sources;  // kFork, kImport.
  std::set<SeenLayer> seen;                               // kForward.

  bool is_read() const;
  std::string Print() const;
};

// An error's number in the model: 0 for none, else that of its reason and others.
using SimError = int;
SimError ErrorOf(const absl::Status& status);
std::string PrintError(SimError error);
inline constexpr SimError kAbandoned = 1000;
inline constexpr SimError kUnexpected = 1001;
constexpr SimError ErrorOf(Reason reason) { return 1 + static_cast<int>(reason); }

// What clients see of a session or of one layer.
struct SimView {
  struct Layer {
    std::uint8_t config = 0;
    Mode mode = Mode::kTrain;
    std::uint16_t revision = 0;

    friend auto operator<=>(const Layer&, const Layer&) = default;
  };
  std::uint64_t seed = 0;
  Mode mode = Mode::kTrain;
  std::array<Layer, kSimLayers> layers = {};

  friend auto operator<=>(const SimView&, const SimView&) = default;
};
SimView ViewOf(const SessionState& state);

struct EngineAnswer {
  SimError error = 0;
  bool is_there = false;                      // kList.
  SimView view;                               // Of a session, or a layer of it.
  std::uint64_t output = 0;                   // PlainMasks' name.
  double p = 0;                               // kForward.
  Mode mode = Mode::kTrain;                   // kForward, kGetMask.
  std::uint64_t count = 0;                    // Released steps, layers as bits, a logit's number.
  std::shared_ptr<const SessionState> whole;  // kExport.

  // kBackward, which releases: it has found this record, and others must take it away before the
  // call ends.
  std::optional<StepState> must_go;

  std::string Print() const;
};
bool operator==(const EngineAnswer& a, const EngineAnswer& b);
bool IsBefore(const EngineAnswer& a, const EngineAnswer& b);

struct EngineOutcome {
  SessionState state;
  EngineAnswer answer;
};

// What the server may do by its limits.
struct SimRules {
  std::size_t max_layers = 1024;
  bool may_forget_steps = false;
  bool may_forget_inputs = false;
  bool limits_sessions = false;    // QUOTA_SESSIONS may come; whether it may now, another checks.
  bool limits_parameters = false;  // The same of QUOTA_PARAMETER_BYTES.
};

// All that may come of the call in this state.
std::vector<EngineOutcome> OutcomesOf(const SessionState& state, const EngineCall& call,
                                      const SimRules& rules, PlainMasks& masks);

// Whether the answer is the one that was expected.
bool Agrees(const EngineCall& call, const EngineAnswer& expected, const EngineAnswer& found,
            const SimRules& rules);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_SESSION_STATE_H_
