#include "tests/bench/tenant_filler.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/bench/served.h"

namespace dropoutd::bench {
namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;
constexpr std::size_t kMostCalls = 10'000'000;

constexpr std::size_t kLargeWeight = 512;  // 1 MiB.
constexpr std::size_t kSmallWeight = 64;   // As the last of kInput.
constexpr std::int64_t kLargeRegion = kMebibyte;
constexpr std::int64_t kSmallRegion = 4096;

// Shapes of a Forward that keeps 8 B, 128 KiB, 8 KiB or 512 B of bits, or 1 MiB of input.
const std::vector<std::int64_t> kTiny = {1, 64};
const std::vector<std::int64_t> kLargeMask = {1, 1 << 20};
const std::vector<std::int64_t> kSmallMask = {1, 1 << 16};
const std::vector<std::int64_t> kRestMask = {1, 1 << 12};
const std::vector<std::int64_t> kInput = {4096, 64};

// Records of masks, and then of inputs: what is left of the steps for them.
constexpr std::size_t kStepsLeft = 1000;
constexpr int kTinyLeft = 16;

dropout::Layer Plain(const std::string& layer_id) {
  dropout::Layer layer;
  layer.layer_id = layer_id;
  layer.p = kP;
  return layer;
}

// Its records cannot be made again.
dropout::Layer Sequential(const std::string& layer_id) {
  dropout::Layer layer = Plain(layer_id);
  layer.generator = dropout::Generator::kNumpyLegacy;
  return layer;
}

dropout::Layer Linear(const std::string& layer_id, std::size_t features) {
  dropout::Layer layer = Plain(layer_id);
  dropout::DropConnect options;
  options.in_features = static_cast<std::int64_t>(features);
  options.out_features = static_cast<std::int64_t>(features);
  layer.variant = options;
  return layer;
}

bool IsRefused(const absl::Status& status, const std::string& reason) {
  if (dropout::ErrorReason(status) == reason) return true;
  Check(status);
  return false;
}

// Calls until it is refused for the reason.
void Fill(const std::string& reason, const std::function<absl::Status()>& call) {
  for (std::size_t i = 0; i < kMostCalls; ++i) {
    if (IsRefused(call(), reason)) return;
  }
  throw std::runtime_error("nothing is refused as " + reason);
}

}  // namespace

std::vector<std::string> FilledLimits::Flags() const {
  const std::string bytes = std::to_string(mebibytes) + "MiB";
  return {"--shared_memory",
          "--max_sessions=" + std::to_string(sessions),
          "--max_steps=" + std::to_string(steps),
          "--max_steps_per_layer=" + std::to_string(steps_of_layer),
          "--mask_cache_bytes=" + bytes,
          "--input_cache_bytes=" + bytes,
          "--max_parameter_bytes=" + bytes,
          "--max_shared_memory_bytes=" + bytes};
}

TenantFiller::TenantFiller(dropout::Client client, const FilledLimits& limits)
    : client_(std::move(client)), limits_(limits) {
  FillParameters();
  FillSharedMemory();
  FillSteps();
  FillMasks();
  FillInputs();
  FillSessions();
}

void TenantFiller::AskForMore() {
  const Request& request = requests_[next_request_++ % requests_.size()];
  if (!IsRefused(request.call(), request.reason)) {
    throw std::runtime_error("a full tenant got more: " + request.reason);
  }
}

void TenantFiller::FillParameters() {
  Check(Create("inputs", {Linear("l", kSmallWeight)}));
  Check(SetWeight("inputs", "l", kSmallWeight));
  Check(Create("parameters", {}));
  int layers = 0;
  const auto add = [this, &layers](std::size_t features) {
    const std::string layer_id = std::to_string(layers++);
    Check(client_.CreateLayer("parameters", Linear(layer_id, features)).status());
    return SetWeight("parameters", layer_id, features);
  };
  const std::string reason = "QUOTA_PARAMETER_BYTES";
  Fill(reason, [&] { return add(kLargeWeight); });
  Fill(reason, [&] { return add(kSmallWeight); });
  const std::string last = std::to_string(layers - 1);
  requests_.push_back(
      {reason, [this, last] { return SetWeight("parameters", last, kSmallWeight); }});
}

void TenantFiller::FillSharedMemory() {
  Check(Create("regions", {}));
  const auto add = [this](std::int64_t byte_size) {
    return client_.CreateSharedMemory("regions", byte_size).status();
  };
  const std::string reason = "QUOTA_SHARED_MEMORY";
  Fill(reason, [&] { return add(kLargeRegion); });
  Fill(reason, [&] { return add(kSmallRegion); });
  requests_.push_back({reason, [add] { return add(kSmallRegion); }});
}

void TenantFiller::FillSteps() {
  Check(Create("steps", {}));
  const std::size_t most = limits_.steps / 2;
  for (int i = 0; steps_ + kStepsLeft < most; ++i) {
    const std::string layer_id = std::to_string(i);
    Check(client_.CreateLayer("steps", Sequential(layer_id)).status());
    const std::size_t count = std::min(limits_.steps_of_layer, most - kStepsLeft - steps_);
    for (std::size_t n = 0; n < count; ++n) Check(Run("steps", layer_id, kTiny));
    steps_ += count;
  }
  requests_.push_back({"QUOTA_STEPS", [this] { return Run("steps", "0", kTiny); }});
}

void TenantFiller::FillMasks() {
  Check(Create("masks", {Sequential("l"), Plain("plain")}));
  Check(Create("room", {Sequential("l")}));
  for (int i = 0; i < kTinyLeft; ++i) Check(Run("room", "l", kTiny));
  const std::string reason = "QUOTA_MASK_CACHE";
  for (const auto& shape : {kLargeMask, kSmallMask, kRestMask}) {
    Fill(reason, [&] {
      ++steps_;
      return Run("masks", "l", shape);
    });
  }
  requests_.push_back({reason, [this] { return Run("masks", "l", kSmallMask); }});
  // So that it is for the steps alone that more of kTiny are refused.
  Check(client_.DeleteSession("room"));
  // What is left of the steps.
  for (; steps_ < limits_.steps / 2; ++steps_) Check(Run("masks", "plain", kTiny));
}

void TenantFiller::FillInputs() {
  // They take the place of plain records.
  for (std::size_t i = 0; i < limits_.mebibytes; ++i) Check(Run("inputs", "l", kInput));
}

void TenantFiller::FillSessions() {
  int sessions = 0;
  const auto add = [this, sessions]() mutable {
    return Create(absl::StrCat("s", sessions++), {Plain(kLayer)});
  };
  const std::string reason = "QUOTA_SESSIONS";
  Fill(reason, add);
  requests_.push_back({reason, [this] { return Create("more", {Plain(kLayer)}); }});
}

absl::Status TenantFiller::Create(const std::string& session_id,
                                  const std::vector<dropout::Layer>& layers) {
  dropout::SessionOptions options;
  options.session_id = session_id;
  options.seed = 1;
  options.layers = layers;
  return client_.CreateSession(options).status();
}

absl::Status TenantFiller::SetWeight(const std::string& session_id, const std::string& layer_id,
                                     std::size_t features) {
  const auto size = static_cast<std::int64_t>(features);
  const auto parameter = [](const std::string& name, std::vector<std::int64_t> shape,
                            std::size_t count) {
    return dropout::Parameter{
        name, {dropout::DataType::kFloat32, std::move(shape), std::string(4 * count, 0)}};
  };
  return client_.SetParameters(session_id, layer_id,
                               {parameter("weight", {size, size}, features * features),
                                parameter("bias", {size}, features)});
}

absl::Status TenantFiller::Run(const std::string& session_id, const std::string& layer_id,
                               const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
  const std::string data(4 * count, 1);
  dropout::StepRef step;
  step.session_id = session_id;
  step.layer_id = layer_id;
  step.step = next_step_++;
  return client_.Forward(step, {dropout::DataType::kFloat32, shape, data.data(), data.size()})
      .status();
}

}  // namespace dropoutd::bench
