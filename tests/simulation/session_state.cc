#include "tests/simulation/session_state.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/dropout/parameters.h"

namespace dropoutd {
namespace {

constexpr std::array<double, 4> kRates = {0.25, 0.5, 0.75, 0.0};
constexpr std::uint32_t kRatesOfConcrete = 3;
constexpr std::array<double, kSimLogits - kRatesOfConcrete> kLogits = {-2.0, -0.75, 1.5, 2.25};

std::uint32_t RateNumber(std::uint32_t layer, std::uint32_t config) {
  const std::uint32_t number = (config - 1) / 3;
  return layer == kConcreteLayer ? number % kRatesOfConcrete : number;
}

Mode ModeOf(const SessionState& state, std::uint32_t config) {
  const std::uint32_t mode = (config - 1) % 3;
  return mode == 0 ? state.mode : mode == 1 ? Mode::kTrain : Mode::kEval;
}

LayerState NewLayer(const SessionState& state, std::uint32_t layer, std::uint32_t config,
                    std::uint32_t uid) {
  LayerState made;
  made.uid = uid;
  made.created = made.config = static_cast<std::uint8_t>(config);
  made.mode = ModeOf(state, config);
  made.revision = 1;
  if (layer == kConcreteLayer) {
    made.logit = static_cast<std::uint8_t>(RateNumber(layer, config));
    made.parameters = 1;
  }
  return made;
}

std::size_t CountLayers(const SessionState& state) {
  return static_cast<std::size_t>(std::count_if(state.layers.begin(), state.layers.end(),
                                                [](const auto& each) { return each.uid != 0; }));
}

EngineAnswer Error(Reason reason) {
  EngineAnswer answer;
  answer.error = ErrorOf(reason);
  return answer;
}

EngineAnswer Viewed(const SessionState& state) {
  EngineAnswer answer;
  answer.is_there = true;
  answer.view = ViewOf(state);
  return answer;
}

EngineAnswer ViewedLayer(const SessionState& state, std::uint32_t layer) {
  EngineAnswer answer;
  answer.view.layers[layer] = ViewOf(state).layers[layer];
  return answer;
}

// A call's work on one state.
class Work {
 public:
  Work(const SessionState& state, const EngineCall& call, const SimRules& rules, PlainMasks& masks)
      : before_(state), call_(call), rules_(rules), masks_(masks) {}

  std::vector<EngineOutcome> Take() {
    Do();
    return std::move(outcomes_);
  }

 private:
  const LayerState& layer() const { return before_.layers[call_.layer]; }

  void Add(SessionState state, EngineAnswer answer) {
    outcomes_.push_back({std::move(state), std::move(answer)});
  }
  void Keep(EngineAnswer answer) { Add(before_, std::move(answer)); }
  void Fail(Reason reason) { Keep(Error(reason)); }

  void Do() {
    switch (call_.kind) {
      case EngineCallKind::kCreate:
        return Create();
      case EngineCallKind::kFork:
      case EngineCallKind::kImport:
        for (const SessionState& source : *call_.sources) Copy(source);
        return;
      case EngineCallKind::kList:
        return Keep(before_.is_there() ? Viewed(before_) : EngineAnswer());
      default:
        break;
    }
    if (!before_.is_there()) return Fail(Reason::kSessionNotFound);
    switch (call_.kind) {
      case EngineCallKind::kGet:
        return Keep(Viewed(before_));
      case EngineCallKind::kDelete:
        return Add(SessionState(), EngineAnswer());
      case EngineCallKind::kExport: {
        EngineAnswer answer;
        answer.whole = std::make_shared<const SessionState>(before_);
        return Keep(std::move(answer));
      }
      case EngineCallKind::kSetMode:
        return SetMode();
      case EngineCallKind::kCreateLayer:
        return CreateLayer();
      default:
        break;
    }
    if (call_.layer < kSimLayers && layer().uid == 0) return Fail(Reason::kLayerNotFound);
    switch (call_.kind) {
      case EngineCallKind::kUpdateLayer:
        return UpdateLayer();
      case EngineCallKind::kDeleteLayer: {
        SessionState next = before_;
        next.layers[call_.layer] = LayerState();
        return Add(next, EngineAnswer());
      }
      case EngineCallKind::kSetLogit: {
        SessionState next = before_;
        next.layers[call_.layer].logit = call_.logit;
        ++next.layers[call_.layer].parameters;
        return Add(next, EngineAnswer());
      }
      case EngineCallKind::kGetLogit: {
        EngineAnswer answer;
        answer.count = layer().logit;
        return Keep(std::move(answer));
      }
      case EngineCallKind::kForward:
        return Forward();
      case EngineCallKind::kBackward:
      case EngineCallKind::kGetMask:
        return UseRecord();
      case EngineCallKind::kReleaseSteps:
        return ReleaseSteps();
      default:
        break;
    }
  }

  // --- Sessions and layers ---

  void Refuse() {
    if (rules_.limits_parameters) Fail(Reason::kQuotaParameterBytes);
  }

  void RefuseSession() {
    if (rules_.limits_sessions) Fail(Reason::kQuotaSessions);
    Refuse();
  }

  void Create() {
    const auto& configs = call_.created->configs;
    const auto layers = kSimLayers - std::count(configs.begin(), configs.end(), 0);
    if (static_cast<std::size_t>(layers) > rules_.max_layers) return Fail(Reason::kQuotaLayers);
    if (before_.is_there()) {
      Refuse();
      if (before_.spec != 0 && before_.spec == call_.spec) return Keep(Viewed(before_));
      return Fail(Reason::kSessionExists);
    }
    SessionState made;
    made.made_by = call_.id;
    made.spec = call_.spec;
    made.seed = call_.created->seed;
    made.mode = call_.created->mode;
    for (std::uint32_t i = 0; i < kSimLayers; ++i) {
      if (call_.created->configs[i] == 0) continue;
      made.layers[i] = NewLayer(made, i, call_.created->configs[i], call_.id);
    }
    RefuseSession();
    const EngineAnswer answer = Viewed(made);
    Add(std::move(made), answer);
  }

  void Copy(const SessionState& source) {
    if (!source.is_there()) return Fail(Reason::kSessionNotFound);
    const std::uint32_t origin = call_.origin != 0 ? call_.origin : source.made_by;
    Refuse();
    if (before_.is_there()) {
      if (before_.origin == origin) return Keep(Viewed(before_));
      return Fail(Reason::kSessionExists);
    }
    RefuseSession();
    SessionState made = source;
    made.made_by = call_.id;
    made.origin = origin;
    if (call_.kind == EngineCallKind::kFork) made.spec = 0;
    const EngineAnswer answer = Viewed(made);
    Add(made, answer);
    // Without those steps whose parameters are gone: the oldest first.
    while (DropOldest(made.layers[kConcreteLayer])) Add(made, answer);
  }

  static bool DropOldest(LayerState& layer) {
    StepState* oldest = nullptr;
    for (StepState& step : layer.steps) {
      if (!layer.MayLack(step)) continue;
      if (oldest == nullptr || step.parameters < oldest->parameters) oldest = &step;
    }
    if (oldest != nullptr) *oldest = StepState();
    return oldest != nullptr;
  }

  void SetMode() {
    SessionState next = before_;
    std::uint64_t set = call_.layers;
    if (set == 0) {
      next.mode = call_.mode;
      for (std::uint32_t i = 0; i < kSimLayers; ++i) {
        if (next.layers[i].uid != 0) set |= std::uint64_t{1} << i;
      }
    }
    for (std::uint32_t i = 0; i < kSimLayers; ++i) {
      if ((set >> i & 1) == 0) continue;
      if (next.layers[i].uid == 0) return Fail(Reason::kLayerNotFound);
      next.layers[i].mode = call_.mode;
    }
    EngineAnswer answer;
    answer.count = set;
    Add(next, std::move(answer));
  }

  void CreateLayer() {
    if (layer().uid != 0) {
      if (layer().created == call_.config) return Keep(ViewedLayer(before_, call_.layer));
      return Fail(Reason::kLayerExists);
    }
    if (CountLayers(before_) >= rules_.max_layers) return Fail(Reason::kQuotaLayers);
    if (call_.layer == kConcreteLayer) Refuse();
    SessionState next = before_;
    next.layers[call_.layer] = NewLayer(before_, call_.layer, call_.config, call_.id);
    Add(next, ViewedLayer(next, call_.layer));
  }

  void UpdateLayer() {
    const Mode mode = ModeOf(before_, call_.config);
    if (layer().config == call_.config && layer().mode == mode) {
      return Keep(ViewedLayer(before_, call_.layer));
    }
    SessionState next = before_;
    LayerState& updated = next.layers[call_.layer];
    const std::uint32_t rate = RateNumber(call_.layer, call_.config);
    if (call_.layer == kConcreteLayer && rate != RateNumber(call_.layer, updated.config)) {
      updated.logit = static_cast<std::uint8_t>(rate);
      ++updated.parameters;
    }
    updated.config = call_.config;
    updated.mode = mode;
    ++updated.revision;
    Add(next, ViewedLayer(next, call_.layer));
  }

  // --- Steps ---

  double RateOf(std::uint32_t config, std::uint32_t logit) const {
    return call_.layer == kConcreteLayer ? Sigmoid(LogitOf(logit))
                                         : kRates[RateNumber(call_.layer, config)];
  }
  bool Draws(Mode mode, std::uint32_t config) const {
    return mode == Mode::kTrain &&
           (call_.layer == kConcreteLayer || kRates[RateNumber(call_.layer, config)] > 0);
  }

  std::uint64_t OutputOf(Mode mode, std::uint32_t config, std::uint32_t logit,
                         std::uint32_t shape) const {
    if (!Draws(mode, config)) {
      return PlainMasks::OfOnes(static_cast<std::size_t>(ShapeOf(shape).ElementCount()));
    }
    MaskPlace place;
    place.seed = before_.seed;
    place.layer = call_.layer;
    place.step = StepOf(call_.slot);
    place.sample_offset = SampleOffsetOf(call_.slot);
    place.shape = shape;
    place.is_concrete = call_.layer == kConcreteLayer;
    place.rate = place.is_concrete ? LogitOf(logit) : kRates[RateNumber(call_.layer, config)];
    return masks_.Find(place);
  }

  void Forward() {
    const SeenLayer now = {layer().uid, layer().config, layer().logit, layer().mode,
                           layer().parameters};
    ForwardAs(now);
    for (const SeenLayer& each : call_.seen) {
      if (each.uid == now.uid && each != now) ForwardAs(each);
    }
  }

  // The layer as the call has found it, which the session may no longer have when the record is
  // written.
  void ForwardAs(const SeenLayer& seen) {
    if (seen.mode == Mode::kTrain && !call_.has_step) return Fail(Reason::kStepRequired);
    if (call_.end == ForwardEnd::kRefused) return Fail(Reason::kRegionNotFound);
    EngineAnswer answer;
    if (call_.end == ForwardEnd::kAbandoned) {
      answer.error = kAbandoned;
      return Keep(std::move(answer));
    }
    answer.output = OutputOf(seen.mode, seen.config, seen.logit, call_.shape);
    answer.p = RateOf(seen.config, seen.logit);
    answer.mode = seen.mode;
    if (!call_.has_step) return Keep(std::move(answer));
    SessionState next = before_;
    StepState& record = next.layers[call_.layer].steps[call_.slot];
    const bool keeps = record.is_there && !Draws(seen.mode, seen.config);
    if (keeps) Keep(answer);
    if (keeps && !rules_.may_forget_steps) return;
    record = {true, seen.mode, seen.config, seen.logit, call_.shape, 0};
    if (call_.layer != kConcreteLayer) record.logit = 0;
    if (Draws(seen.mode, seen.config)) record.parameters = seen.parameters;
    Add(next, std::move(answer));
  }

  void UseRecord() {
    const StepState& record = layer().steps[call_.slot];
    if (!call_.has_step || !record.is_there) return UseNone(before_);
    if (rules_.may_forget_steps) {
      SessionState next = before_;
      next.layers[call_.layer].steps[call_.slot] = StepState();
      UseNone(next);
    }
    if (layer().MayLack(record)) UseNone(before_);
    EngineAnswer answer;
    answer.mode = record.mode;
    if (call_.kind == EngineCallKind::kGetMask) {
      const std::uint32_t shape = call_.has_shape ? call_.shape : record.shape;
      answer.output = OutputOf(record.mode, record.config, record.logit, shape);
      return Keep(std::move(answer));
    }
    if (record.shape != call_.shape) return Fail(Reason::kShapeMismatch);
    if (rules_.may_forget_inputs && call_.layer == kConcreteLayer) Fail(Reason::kStepNotFound);
    answer.output = OutputOf(record.mode, record.config, record.logit, record.shape);
    answer.mode = Mode::kTrain;
    SessionState next = before_;
    if (call_.releases) {
      next.layers[call_.layer].steps[call_.slot] = StepState();
      EngineAnswer found = answer;
      found.must_go = record;
      Keep(std::move(found));
    }
    Add(next, std::move(answer));
  }

  // Without a record.
  void UseNone(const SessionState& state) {
    if (layer().mode == Mode::kTrain && !call_.has_step) return Fail(Reason::kStepRequired);
    EngineAnswer answer;
    if (call_.kind == EngineCallKind::kGetMask) {
      answer.mode = layer().mode;
      if (!call_.has_shape) {
        return Add(state, Error(call_.has_step ? Reason::kStepNotFound : Reason::kStepRequired));
      }
    } else if (layer().mode == Mode::kTrain) {
      return Add(state, Error(Reason::kStepNotFound));
    }
    answer.output = OutputOf(layer().mode, layer().config, layer().logit, call_.shape);
    Add(state, std::move(answer));
  }

  void ReleaseSteps() {
    SessionState next = before_;
    EngineAnswer answer;
    for (std::uint32_t i = 0; i < kSimLayers; ++i) {
      if (call_.layer != kSimLayers && call_.layer != i) continue;
      for (std::uint32_t slot = 0; slot < kSimSlots; ++slot) {
        StepState& step = next.layers[i].steps[slot];
        if (StepOf(slot) > call_.step || !step.is_there) continue;
        step = StepState();
        ++answer.count;
      }
    }
    Add(next, std::move(answer));
  }

  const SessionState& before_;
  const EngineCall& call_;
  const SimRules& rules_;
  PlainMasks& masks_;
  std::vector<EngineOutcome> outcomes_;
};

// Whether the steps of an export can be those of the state.
bool AgreesInSteps(const SessionState& all, const SessionState& some, bool may_forget) {
  for (std::uint32_t i = 0; i < kSimLayers; ++i) {
    for (std::uint32_t slot = 0; slot < kSimSlots; ++slot) {
      const StepState& expected = all.layers[i].steps[slot];
      const StepState& found = some.layers[i].steps[slot];
      const bool may_lack = may_forget || all.layers[i].MayLack(expected);
      if (found != expected && (found.is_there || !may_lack)) return false;
    }
  }
  return true;
}

// As what an export holds, which knows no calls.
SessionState Anonymous(SessionState state) {
  state.made_by = 1;
  state.spec = state.origin = 0;
  for (LayerState& layer : state.layers) {
    if (layer.uid != 0) layer.uid = 1;
  }
  return state;
}

}  // namespace

std::string_view LayerIdOf(std::uint32_t layer) {
  constexpr std::string_view kIds[] = {"a", "b", "c"};
  return kIds[layer];
}

std::optional<std::uint32_t> LayerNumber(std::string_view id) {
  for (std::uint32_t i = 0; i < kSimLayers; ++i) {
    if (id == LayerIdOf(i)) return i;
  }
  return std::nullopt;
}

Shape ShapeOf(std::uint32_t shape) {
  static const std::array<Shape, kSimShapes> shapes = [] {
    constexpr std::int64_t kSizes[kSimShapes][2] = {{1, 8}, {3, 8}, {4, 16}};
    std::array<Shape, kSimShapes> made;
    for (std::uint32_t i = 0; i < kSimShapes; ++i) made[i] = *Shape::Make(kSizes[i]);
    return made;
  }();
  return shapes[shape];
}

std::uint64_t StepOf(std::uint32_t slot) { return slot / 2; }
std::int64_t SampleOffsetOf(std::uint32_t slot) { return slot % 2 * 2; }

LayerConfig ConfigOf(std::uint32_t layer, std::uint32_t config) {
  LayerConfig made;
  made.layer_id = LayerIdOf(layer);
  made.p = kRates[RateNumber(layer, config)];
  const std::uint32_t mode = (config - 1) % 3;
  if (mode != 0) made.mode = mode == 1 ? Mode::kTrain : Mode::kEval;
  if (layer == kConcreteLayer) made.options = ConcreteOptions();
  return made;
}

std::uint32_t ConfigNumber(std::uint32_t layer, const LayerConfig& config) {
  static const auto* const all = [] {
    auto* const made = new std::vector<std::vector<LayerConfig>>(kSimLayers);
    for (std::uint32_t i = 0; i < kSimLayers; ++i) {
      for (std::uint32_t each = 1; each <= kSimConfigs; ++each) {
        (*made)[i].push_back(ConfigOf(i, each));
      }
    }
    return made;
  }();
  const std::vector<LayerConfig>& of = (*all)[layer];
  return 1 + static_cast<std::uint32_t>(std::find(of.begin(), of.end(), config) - of.begin());
}

double LogitOf(std::uint32_t logit) {
  static const std::array<double, kRatesOfConcrete> first = [] {
    std::array<double, kRatesOfConcrete> made;
    for (std::uint32_t i = 0; i < kRatesOfConcrete; ++i) made[i] = Logit(kRates[i]);
    return made;
  }();
  return logit < kRatesOfConcrete ? first[logit] : kLogits[logit - kRatesOfConcrete];
}

std::uint32_t LogitNumber(double logit) {
  std::uint32_t number = 0;
  while (number < kSimLogits && LogitOf(number) != logit) ++number;
  return number;
}

SessionSpec SimSpec::Make(std::string key) const {
  SessionSpec spec;
  spec.session_id = std::move(key);
  spec.seed = seed;
  spec.mode = mode;
  spec.ttl = ttl;
  for (std::uint32_t i = 0; i < kSimLayers; ++i) {
    if (configs[i] != 0) spec.layers.push_back(ConfigOf(i, configs[i]));
  }
  return spec;
}

bool HasAnotherToken(const SessionState& before, const SessionState& after) {
  if (std::tie(before.made_by, before.mode) != std::tie(after.made_by, after.mode)) return true;
  for (std::uint32_t i = 0; i < kSimLayers; ++i) {
    const LayerState& a = before.layers[i];
    const LayerState& b = after.layers[i];
    if (std::tie(a.uid, a.config, a.parameters, a.mode, a.revision) !=
        std::tie(b.uid, b.config, b.parameters, b.mode, b.revision)) {
      return true;
    }
  }
  return false;
}

SimView ViewOf(const SessionState& state) {
  SimView view;
  view.seed = state.seed;
  view.mode = state.mode;
  for (std::uint32_t i = 0; i < kSimLayers; ++i) {
    const LayerState& layer = state.layers[i];
    if (layer.uid != 0) view.layers[i] = {layer.config, layer.mode, layer.revision};
  }
  return view;
}

std::vector<EngineOutcome> OutcomesOf(const SessionState& state, const EngineCall& call,
                                      const SimRules& rules, PlainMasks& masks) {
  return Work(state, call, rules, masks).Take();
}

bool Agrees(const EngineCall& call, const EngineAnswer& expected, const EngineAnswer& found,
            const SimRules& rules) {
  if (expected.error != 0 || found.error != 0) return expected.error == found.error;
  if (call.kind == EngineCallKind::kExport) {
    SessionState all = Anonymous(*expected.whole);
    SessionState some = Anonymous(*found.whole);
    if (!AgreesInSteps(all, some, rules.may_forget_steps || rules.may_forget_inputs)) return false;
    for (std::uint32_t i = 0; i < kSimLayers; ++i) all.layers[i].steps = some.layers[i].steps;
    return all == some;
  }
  if (call.kind == EngineCallKind::kReleaseSteps && rules.may_forget_steps) {
    return found.count <= expected.count;
  }
  EngineAnswer alike = expected;
  alike.must_go.reset();
  return alike == found;
}

bool operator==(const EngineAnswer& a, const EngineAnswer& b) {
  return !IsBefore(a, b) && !IsBefore(b, a);
}

bool IsBefore(const EngineAnswer& a, const EngineAnswer& b) {
  const auto fields = [](const EngineAnswer& each) {
    return std::tie(each.error, each.is_there, each.view, each.output, each.p, each.mode,
                    each.count, each.must_go);
  };
  if (fields(a) < fields(b)) return true;
  if (fields(b) < fields(a) || a.whole == nullptr || b.whole == nullptr) {
    return !(fields(b) < fields(a)) && a.whole == nullptr && b.whole != nullptr;
  }
  return *a.whole < *b.whole;
}

// --- For people -----------------------------------------------------------------------------

bool EngineCall::is_read() const {
  switch (kind) {
    case EngineCallKind::kGet:
    case EngineCallKind::kList:
    case EngineCallKind::kGetLogit:
    case EngineCallKind::kGetMask:
    case EngineCallKind::kExport:
      return true;
    case EngineCallKind::kBackward:
      return !releases;
    case EngineCallKind::kForward:
      return end == ForwardEnd::kRefused || end == ForwardEnd::kAbandoned;
    default:
      return false;
  }
}

SimError ErrorOf(const absl::Status& status) {
  if (status.ok()) return 0;
  if (const auto reason = ReasonOf(status); reason.has_value()) return ErrorOf(*reason);
  return absl::IsCancelled(status) ? kAbandoned : kUnexpected;
}

std::string PrintError(SimError error) {
  if (error == 0) return "ok";
  if (error == kAbandoned) return "abandoned";
  if (error == kUnexpected) return "an error without a reason";
  const std::string_view name = ReasonName(static_cast<Reason>(error - 1));
  return std::string(name);
}

namespace {

const char* Print(Mode mode) { return mode == Mode::kTrain ? "train" : "eval"; }

std::string PrintConfig(std::uint32_t layer, std::uint32_t config) {
  if (config == 0) return "none";
  if (config > kSimConfigs) return "another";
  const LayerConfig made = ConfigOf(layer, config);
  return absl::StrCat(made.p, made.mode ? absl::StrCat("/", Print(*made.mode)) : "");
}

}  // namespace

std::string SessionState::Print() const {
  if (!is_there()) return "absent";
  std::string text = absl::StrCat("session of ", made_by, " seed ", seed, " ",
                                  dropoutd::Print(mode), origin != 0 ? " copy" : "");
  for (std::uint32_t i = 0; i < kSimLayers; ++i) {
    const LayerState& layer = layers[i];
    if (layer.uid == 0) continue;
    absl::StrAppend(&text, " ", std::string(LayerIdOf(i)), ":", PrintConfig(i, layer.config), " ",
                    dropoutd::Print(layer.mode), " r", layer.revision, " l", layer.logit, " [");
    for (std::uint32_t slot = 0; slot < kSimSlots; ++slot) {
      const StepState& step = layer.steps[slot];
      if (!step.is_there) continue;
      absl::StrAppend(&text, " ", slot, "=", PrintConfig(i, step.config), "/", step.logit, "/",
                      dropoutd::Print(step.mode), "/s", step.shape);
    }
    text += "]";
  }
  return text;
}

std::string EngineCall::Print() const {
  constexpr const char* kNames[] = {
      "create",       "fork",     "import",       "get",      "list",      "delete",
      "create layer", "update",   "delete layer", "set mode", "set logit", "get logit",
      "forward",      "backward", "get mask",     "release",  "export"};
  std::string text = kNames[static_cast<int>(kind)];
  if (layer < kSimLayers) absl::StrAppend(&text, " ", std::string(LayerIdOf(layer)));
  switch (kind) {
    case EngineCallKind::kCreate:
      absl::StrAppend(&text, " spec ", spec, " seed ", created->seed);
      for (std::uint32_t i = 0; i < kSimLayers; ++i) {
        absl::StrAppend(&text, " ", PrintConfig(i, created->configs[i]));
      }
      break;
    case EngineCallKind::kCreateLayer:
    case EngineCallKind::kUpdateLayer:
      absl::StrAppend(&text, " ", PrintConfig(layer, config));
      break;
    case EngineCallKind::kSetMode:
      absl::StrAppend(&text, " ", dropoutd::Print(mode), " of ", layers);
      break;
    case EngineCallKind::kSetLogit:
      absl::StrAppend(&text, " ", logit);
      break;
    case EngineCallKind::kForward:
    case EngineCallKind::kBackward:
    case EngineCallKind::kGetMask:
      absl::StrAppend(&text, has_step ? absl::StrCat(" slot ", slot) : " no step", " shape ",
                      has_shape ? absl::StrCat(shape) : "none", releases ? " releases" : "",
                      end == ForwardEnd::kRefused     ? " refused"
                      : end == ForwardEnd::kAbandoned ? " abandoned"
                      : end == ForwardEnd::kLater     ? " later"
                                                      : "");
      break;
    case EngineCallKind::kReleaseSteps:
      absl::StrAppend(&text, " through ", step);
      break;
    case EngineCallKind::kFork:
    case EngineCallKind::kImport:
      absl::StrAppend(&text, " origin ", origin);
      break;
    default:
      break;
  }
  return text;
}

std::string EngineAnswer::Print() const {
  if (error != 0) return PrintError(error);
  std::string text = absl::StrCat("ok ", is_there ? "there " : "", dropoutd::Print(mode), " p ", p,
                                  " output ", absl::Hex(output & 0xffff), " count ", count,
                                  " seed ", view.seed, " ", dropoutd::Print(view.mode));
  for (std::uint32_t i = 0; i < kSimLayers; ++i) {
    const SimView::Layer& layer = view.layers[i];
    if (layer.config == 0) continue;
    absl::StrAppend(&text, " ", std::string(LayerIdOf(i)), ":", PrintConfig(i, layer.config), "/",
                    dropoutd::Print(layer.mode), " r", layer.revision);
  }
  if (whole != nullptr) absl::StrAppend(&text, " whole ", whole->Print());
  return text;
}

}  // namespace dropoutd
