#include "tests/simulation/engine_client.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/session/session_key.h"
#include "tests/simulation/export_reader.h"

namespace dropoutd {
namespace {

using std::chrono::seconds;

constexpr std::size_t kMostExports = 8;
constexpr std::array<std::uint32_t, EngineWorkload::kKinds> kUsualWeights = {
    4, 3, 3, 8, 4, 3, 5, 8, 3, 5, 4, 4, 25, 22, 6, 4, 3};

constexpr std::uint32_t kSlotsInUse[] = {0, 0, 0, 1, 2, 2, 3, 4, 5};

std::string Text(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

std::uint8_t Byte(std::uint64_t value) { return static_cast<std::uint8_t>(value); }

std::vector<float> Elements(const MaskView& mask) {
  const auto count = static_cast<std::size_t>(mask.shape.ElementCount());
  std::vector<float> elements(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!mask.multipliers.empty()) {
      elements[i] = static_cast<float>(mask.multipliers[i]);
    } else if (mask.bits != nullptr && mask.bits->Read(i, 1) != 0) {
      elements[i] = static_cast<float>(mask.scale);
    }
  }
  return elements;
}

}  // namespace

EngineWorkload EngineWorkload::Draw(RandomSource64& random) {
  EngineWorkload workload;
  workload.keys = 1 + random.Below(5);
  workload.has_tenants = random.Chance(0.7);
  workload.pause = std::chrono::milliseconds(1) * (std::uint64_t{1} << (3 + random.Below(8)));
  if (random.Chance(0.25)) workload.short_lived = random.Fraction();
  workload.wanders = random.Chance(0.5) ? random.Fraction() : 0.02;
  workload.weights = kUsualWeights;
  // Some have none of some kinds of calls, and many of others.
  for (std::uint32_t& each : workload.weights) {
    if (random.Chance(0.15)) each = 0;
    if (random.Chance(0.15)) each *= 5;
  }
  workload.weights[0] = std::max(workload.weights[0], 3u);
  return workload;
}

std::string EngineWorkload::Print() const {
  std::ostringstream text;
  text << " keys=" << keys << (has_tenants ? " tenants" : "")
       << " pause=" << std::chrono::duration<double>(pause).count()
       << " short_lived=" << short_lived << " wanders=" << wanders;
  return std::move(text).str();
}

std::string EngineWorkload::KeyOf(std::size_t index) const {
  return absl::StrCat(!has_tenants ? "" : index % 2 == 0 ? "a/" : "b/", index);
}

EngineClient::EngineClient(Scheduler& scheduler, EngineChecker& checker,
                           const EngineWorkload& workload, std::size_t number, std::size_t servers,
                           Find find, std::vector<SimExport>& exports)
    : scheduler_(scheduler),
      random_(scheduler.random()),
      checker_(checker),
      workload_(workload),
      number_(number),
      servers_(servers),
      find_(std::move(find)),
      exports_(exports),
      server_number_(number % servers) {}

EngineClient::Kind EngineClient::RandomKind(const std::string& key) {
  if (checker_.unknown(key) >= workload_.most_unknown) {
    constexpr Kind kReads[] = {Kind::kGet, Kind::kGetMask, Kind::kExport, Kind::kList};
    return kReads[random_.Below(std::size(kReads))];
  }
  if (!is_there_[key] && random_.Chance(0.8)) {
    if (random_.Chance(0.7)) return Kind::kCreate;
    return random_.Chance(0.5) ? Kind::kFork : Kind::kImport;
  }
  const std::uint64_t all =
      std::accumulate(workload_.weights.begin(), workload_.weights.end(), std::uint64_t{0});
  std::uint64_t left = random_.Below(all);
  std::size_t kind = 0;
  while (left >= workload_.weights[kind]) left -= workload_.weights[kind++];
  return static_cast<Kind>(kind);
}

void EngineClient::Step() {
  if (random_.Chance(workload_.wanders)) server_number_ = random_.Below(servers_);
  server_ = find_(server_number_);
  const std::string key = workload_.KeyOf(random_.Below(workload_.keys));
  Do(RandomKind(key), key);
  server_ = nullptr;
}

void EngineClient::Do(Kind kind, const std::string& key) {
  switch (kind) {
    case Kind::kCreate:
      return Create(key);
    case Kind::kFork:
      return Fork(key);
    case Kind::kImport:
      return Import(key);
    case Kind::kExport:
      return Export(key);
    case Kind::kList:
      return List();
    case Kind::kCreateLayer:
    case Kind::kUpdateLayer:
    case Kind::kDeleteLayer:
      return ChangeLayer(key, kind);
    case Kind::kSetMode:
      return SetMode(key);
    case Kind::kSetLogit:
    case Kind::kGetLogit:
      return UseLogit(key, kind);
    case Kind::kForward:
    case Kind::kBackward:
    case Kind::kGetMask:
      return UseStep(key, kind);
    case Kind::kReleaseSteps:
      return Release(key);
    case Kind::kGet:
    case Kind::kDelete:
      break;
  }
  EngineCall call;
  call.kind = kind;
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  if (kind == Kind::kDelete) return Finish(begun, face().DeleteSession(key), EngineAnswer());
  const auto view = face().GetSession(key);
  EngineAnswer answer;
  if (view.ok() && !Decode(key, *view, answer)) return;
  Finish(begun, view.status(), std::move(answer));
}

void EngineClient::Finish(const EngineChecker::Call& call, const absl::Status& status,
                          EngineAnswer answer) {
  answer.error = ErrorOf(status);
  if (answer.error == ErrorOf(Reason::kStoreUnavailable)) {
    was_lost_ = true;
    return checker_.EndUnknown(call, Text(status));
  }
  if (answer.error == kUnexpected) return checker_.Fail(call.key, Text(status));
  is_there_[call.key] = answer.error != ErrorOf(Reason::kSessionNotFound) &&
                        (call.call.kind != Kind::kDelete || answer.error != 0);
  checker_.End(call, answer);
}

// --- Sessions -------------------------------------------------------------------------------

void EngineClient::Create(const std::string& key) {
  std::uint32_t& spec = last_spec_[key];
  if (spec == 0 || random_.Chance(0.8)) {
    SimSpec drawn;
    drawn.seed = scheduler_.random().Next() >> 33;
    drawn.mode = random_.Chance(0.8) ? Mode::kTrain : Mode::kEval;
    if (random_.Chance(workload_.short_lived)) drawn.ttl = seconds(2 + random_.Below(20));
    for (std::uint32_t i = 0; i < kSimLayers; ++i) {
      const std::uint64_t configs = i == kConcreteLayer ? kSimConfigs - 3 : kSimConfigs;
      if (random_.Chance(0.6)) drawn.configs[i] = Byte(1 + random_.Below(configs));
    }
    spec = checker_.AddSpec(drawn);
  }
  EngineCall call;
  call.kind = Kind::kCreate;
  call.spec = spec;
  call.created = checker_.SpecOf(spec);
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  const auto view = face().CreateSession(call.created->Make(key));
  EngineAnswer answer;
  answer.is_there = true;
  if (view.ok() && !Decode(key, *view, answer)) return;
  Finish(begun, view.status(), std::move(answer));
}

void EngineClient::Fork(const std::string& key) {
  const std::string from = workload_.KeyOf(random_.Below(workload_.keys));
  if (from == key || TenantOf(from) != TenantOf(key)) return;
  if (checker_.unknown(from) >= workload_.most_unknown) return;
  EngineCall call;
  call.kind = Kind::kFork;
  call.sources = checker_.Watch(from);
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  checker_.AddFork(begun, from);
  const auto view = face().ForkSession(from, key);
  EngineAnswer answer;
  answer.is_there = true;
  if (view.ok() && !Decode(key, *view, answer)) return;
  Finish(begun, view.status(), std::move(answer));
}

void EngineClient::Export(const std::string& key) {
  EngineCall call;
  call.kind = Kind::kExport;
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  const auto bytes = face().ExportSession(key);
  EngineAnswer answer;
  if (bytes.ok()) {
    const auto read =
        ReadExport(*bytes, [this](std::uint64_t seed) { return checker_.SpecWithSeed(seed); });
    if (!read.ok()) return checker_.Fail(key, Text(read.status()));
    answer.whole = std::make_shared<const SessionState>(read->state);
    const auto states = std::make_shared<const std::set<SessionState>>(std::set{read->state});
    if (exports_.size() >= kMostExports) exports_.erase(exports_.begin());
    exports_.push_back({*bytes, begun.id | 1u << 31, read->ttl, states});
  }
  Finish(begun, bytes.status(), std::move(answer));
}

void EngineClient::Import(const std::string& key) {
  if (exports_.empty()) return Export(key);
  const SimExport chosen = exports_[random_.Below(exports_.size())];
  EngineCall call;
  call.kind = Kind::kImport;
  call.origin = chosen.id;
  call.ttl = chosen.ttl;
  call.sources = chosen.state;
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  const auto view = face().ImportSession(key, chosen.bytes);
  EngineAnswer answer;
  answer.is_there = true;
  if (view.ok() && !Decode(key, *view, answer)) return;
  Finish(begun, view.status(), std::move(answer));
}

void EngineClient::List() {
  const std::string tenant = !workload_.has_tenants ? "" : random_.Chance(0.5) ? "a" : "b";
  const std::size_t limit = 1 + random_.Below(workload_.keys);
  std::map<std::string, EngineChecker::Call> calls;
  for (std::size_t i = 0; i < workload_.keys; ++i) {
    const std::string key = workload_.KeyOf(i);
    if (TenantOf(key) != tenant) continue;
    EngineCall call;
    call.kind = Kind::kList;
    calls[key] = checker_.Begin(number_, key, call);
  }
  const auto page = face().ListSessions(tenant.empty() ? "" : SessionKey(tenant, ""), limit);
  if (!page.ok()) {
    for (const auto& [key, call] : calls) Finish(call, page.status(), EngineAnswer());
    return;
  }
  if (!page->corrupt.empty()) return checker_.Fail(page->corrupt.front(), "is listed as damaged");
  std::map<std::string, EngineAnswer> listed;
  for (const SessionView& view : page->sessions) {
    EngineAnswer& answer = listed[view.session_id];
    answer.is_there = true;
    if (!Decode(view.session_id, view, answer)) return;
  }
  if (listed.size() != page->sessions.size() || listed.size() > limit) {
    return checker_.Fail(page->sessions.front().session_id, "the list is no list");
  }
  for (const auto& [key, call] : calls) {
    const auto found = listed.find(key);
    // What lies behind a full page was not asked for.
    const bool is_asked = listed.size() < limit || key <= listed.rbegin()->first;
    if (found == listed.end() && !is_asked) {
      checker_.EndUnknown(call, "it is behind the page");
    } else {
      checker_.End(call, found == listed.end() ? EngineAnswer() : found->second);
    }
  }
}

// --- Layers ---------------------------------------------------------------------------------

void EngineClient::ChangeLayer(const std::string& key, Kind kind) {
  EngineCall call;
  call.kind = kind;
  call.layer = static_cast<std::uint32_t>(random_.Below(kSimLayers));
  const std::uint64_t configs = call.layer == kConcreteLayer ? kSimConfigs - 3 : kSimConfigs;
  call.config = Byte(1 + random_.Below(configs));
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  EngineAnswer answer;
  if (kind == Kind::kDeleteLayer) {
    return Finish(begun, face().DeleteLayer(key, LayerIdOf(call.layer)), answer);
  }
  const LayerConfig config = ConfigOf(call.layer, call.config);
  const auto view = kind == Kind::kCreateLayer ? face().CreateLayer(key, config)
                                               : face().UpdateLayer(key, config);
  if (view.ok() && !Decode(key, *view, answer.view)) return;
  Finish(begun, view.status(), std::move(answer));
}

void EngineClient::SetMode(const std::string& key) {
  EngineCall call;
  call.kind = Kind::kSetMode;
  call.mode = random_.Chance(0.7) ? Mode::kTrain : Mode::kEval;
  if (random_.Chance(0.6)) call.layers = Byte(1 + random_.Below((1u << kSimLayers) - 1));
  std::vector<std::string> ids;
  for (std::uint32_t i = 0; i < kSimLayers; ++i) {
    if ((call.layers >> i & 1) != 0) ids.emplace_back(LayerIdOf(i));
  }
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  const auto set = face().SetMode(key, call.mode, ids);
  EngineAnswer answer;
  if (set.ok()) {
    for (const std::string& id : *set) answer.count |= 1u << LayerNumber(id).value_or(31);
  }
  Finish(begun, set.status(), std::move(answer));
}

void EngineClient::UseLogit(const std::string& key, Kind kind) {
  EngineCall call;
  call.kind = kind;
  call.layer = kConcreteLayer;
  call.logit = Byte(random_.Below(kSimLogits));
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  EngineAnswer answer;
  if (kind == Kind::kSetLogit) {
    return Finish(begun,
                  face().SetParameters(key, LayerIdOf(call.layer),
                                       {MakeScalar(kLogitP, LogitOf(call.logit))}),
                  answer);
  }
  const auto parameters = face().GetParameters(key, LayerIdOf(call.layer));
  if (parameters.ok()) {
    const Parameter* const logit = (*parameters)->Find(kLogitP);
    if (logit == nullptr) return checker_.Fail(key, "the concrete layer has no logit_p");
    answer.count = LogitNumber(FirstElement(*logit));
  }
  Finish(begun, parameters.status(), std::move(answer));
}

// --- Steps ----------------------------------------------------------------------------------

void EngineClient::UseStep(const std::string& key, Kind kind) {
  EngineCall call;
  call.kind = kind;
  call.layer = static_cast<std::uint32_t>(random_.Below(kSimLayers));
  call.slot = kSlotsInUse[random_.Below(std::size(kSlotsInUse))];
  call.has_step = random_.Chance(0.96);
  if (!call.has_step) call.slot = 0;
  // Mostly the same of a step, so that its Backward fits.
  call.shape = Byte(random_.Chance(0.93) ? (call.slot + call.layer) % kSimShapes
                                         : random_.Below(kSimShapes));
  if (kind == Kind::kForward) {
    const std::uint64_t end = random_.Below(10);
    call.end = end == 0   ? ForwardEnd::kRefused
               : end == 1 ? ForwardEnd::kAbandoned
               : end == 2 ? ForwardEnd::kLater
                          : ForwardEnd::kWhole;
  } else if (kind == Kind::kBackward) {
    call.releases = random_.Chance(0.4);
  } else {
    call.has_shape = random_.Chance(0.5);
  }
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  EngineAnswer answer;
  const absl::Status status = RunStep(key, call, answer);
  Finish(begun, status, std::move(answer));
}

absl::Status EngineClient::RunStep(const std::string& key, const EngineCall& call,
                                   EngineAnswer& answer) {
  const Shape shape = ShapeOf(call.shape);
  StepRef at;
  at.session_id = key;
  at.layer_id = LayerIdOf(call.layer);
  at.sample_offset = SampleOffsetOf(call.slot);
  if (call.has_step) at.step = StepOf(call.slot);
  if (call.kind == Kind::kGetMask) {
    DROPOUTD_ASSIGN_OR_RETURN(
        const MaskView mask,
        face().GetMask(at, call.has_shape ? std::optional(shape) : std::nullopt));
    answer.output = PlainMasks::NameOf(Elements(mask));
    answer.mode = mask.mode;
    return absl::OkStatus();
  }
  const std::vector<float> ones(static_cast<std::size_t>(shape.ElementCount()), 1.0f);
  std::vector<float> output(ones.size());
  const TensorRef tensor{DataType::kFloat32, shape, ones.data()};
  if (call.kind == Kind::kForward) {
    DROPOUTD_ASSIGN_OR_RETURN(const ForwardOutcome outcome,
                              face().Forward(at, tensor, output.data(), call.end));
    answer.p = outcome.p;
    answer.mode = outcome.mode;
  } else {
    DROPOUTD_RETURN_IF_ERROR(face().Backward(at, tensor, output.data(), call.releases));
  }
  answer.output = PlainMasks::NameOf(output);
  return absl::OkStatus();
}

void EngineClient::Release(const std::string& key) {
  EngineCall call;
  call.kind = Kind::kReleaseSteps;
  if (random_.Chance(0.7)) call.layer = static_cast<std::uint32_t>(random_.Below(kSimLayers));
  call.step = random_.Below(3);
  const EngineChecker::Call begun = checker_.Begin(number_, key, call);
  const auto count =
      face().ReleaseSteps(key, call.layer < kSimLayers ? LayerIdOf(call.layer) : "", call.step);
  EngineAnswer answer;
  answer.count = count.value_or(0);
  Finish(begun, count.status(), std::move(answer));
}

// --- Views ----------------------------------------------------------------------------------

bool EngineClient::Decode(const std::string& key, const LayerView& view, SimView& to) {
  const auto number = LayerNumber(view.config->layer_id);
  if (!number.has_value()) {
    checker_.Fail(key, "a layer that nobody made");
    return false;
  }
  to.layers[*number] = {Byte(ConfigNumber(*number, *view.config)), view.mode,
                        static_cast<std::uint16_t>(view.revision)};
  return true;
}

bool EngineClient::Decode(const std::string& key, const SessionView& view, EngineAnswer& answer) {
  answer.is_there = true;
  answer.view.seed = view.seed;
  answer.view.mode = view.mode;
  if (view.session_id != key) {
    checker_.Fail(key, "the answer names another session");
    return false;
  }
  return std::all_of(view.layers.begin(), view.layers.end(),
                     [&](const LayerView& layer) { return Decode(key, layer, answer.view); });
}

// --- At the end -----------------------------------------------------------------------------

void EngineClient::ExpectLife(std::chrono::nanoseconds bound) {
  constexpr Kind kEach[] = {Kind::kGet, Kind::kCreateLayer, Kind::kForward, Kind::kBackward};
  for (std::size_t server = 0; server < servers_; ++server) {
    for (std::size_t i = 0; i < workload_.keys && !checker_.has_failed(); ++i) {
      const std::string key = workload_.KeyOf(i);
      server_ = find_(server);
      const auto begin = scheduler_.now();
      was_lost_ = false;
      for (const Kind kind : kEach) Do(kind, key);
      if (!is_there_[key]) Create(key);
      server_ = nullptr;
      if (was_lost_) checker_.Fail(key, "no answer, although all is well");
      if (scheduler_.now() - begin > bound) checker_.Fail(key, "calls take too long");
    }
  }
}

void EngineClient::ReadAll() {
  for (std::size_t i = 0; i < workload_.keys; ++i) {
    for (std::size_t server = 0; server < servers_ && !checker_.has_failed(); ++server) {
      server_ = find_(server);
      Do(Kind::kGet, workload_.KeyOf(i));
      Do(Kind::kExport, workload_.KeyOf(i));
      server_ = nullptr;
    }
  }
}

}  // namespace dropoutd
