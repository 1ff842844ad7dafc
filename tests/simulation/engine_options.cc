#include "tests/simulation/engine_options.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <utility>

namespace dropoutd {
namespace {

constexpr std::size_t kParameterBytes = 8;
constexpr std::size_t kLeastInputBytes = 1024;  // One input fits.

}  // namespace

EngineOptions EngineOptions::Draw(RandomSource64& random) {
  EngineOptions options;
  const std::uint64_t store = random.Below(100);
  options.store = store < 60   ? SimStore::kRedis
                  : store < 78 ? SimStore::kLocal
                  : store < 82 ? SimStore::kSqlite
                               : SimStore::kNone;
  options.clients = 1 + random.Below(4);
  options.servers = options.store == SimStore::kRedis ? 1 + random.Below(3) : 1;
  if (random.Chance(0.2)) options.wait_replicas = 1;
  if (random.Chance(0.4)) options.restarts = 0.05 * random.Fraction();
  options.network = NetworkOptions::Draw(random);
  options.local = LocalFaults::Draw(random);
  options.workload = EngineWorkload::Draw(random);
  options.DrawLimits(random);
  if (options.store == SimStore::kRedis && random.Chance(0.2)) options.DrawLosses(random);
  return options;
}

// Little else but changes that Redis loses, one or two at once, of sessions that all servers have
// copies of.
void EngineOptions::DrawLosses(RandomSource64& random) {
  servers = 2 + random.Below(2);
  clients = 2 + random.Below(3);
  wait_replicas = 0;
  network = NetworkOptions::Good();
  network.lossy_fail_overs = 0.1 + 0.5 * random.Fraction();
  workload.keys = 1 + random.Below(2);
  workload.wanders = 0.05;
  workload.pause = std::chrono::milliseconds(300 + random.Below(1200));
  workload.weights[static_cast<std::size_t>(EngineCallKind::kUpdateLayer)] = 40;
  workload.weights[static_cast<std::size_t>(EngineCallKind::kDelete)] = 1;
}

// A store's copies are never refused, and what is forgotten here is read again.
void EngineOptions::DrawLimits(RandomSource64& random) {
  const bool is_original = store == SimStore::kNone;
  if (random.Chance(0.3)) {
    limits.max_sessions = 1 + random.Below(4);
    limits.tenant_max_sessions = 1 + random.Below(limits.max_sessions);
    rules.limits_sessions = true;
  }
  if (random.Chance(0.2)) limits.max_layers_per_session = 1 + random.Below(kSimLayers);
  if (random.Chance(0.5)) {
    limits.max_steps = 2 + random.Below(8);
    limits.tenant_max_steps = 1 + random.Below(limits.max_steps);
    rules.may_forget_steps = is_original;
  }
  if (is_original && random.Chance(0.3)) {
    limits.max_steps_per_layer = 1 + random.Below(3);
    rules.may_forget_steps = true;
  }
  if (random.Chance(0.4)) limits.mask_cache_bytes = random.Below(1000);
  if (random.Chance(0.4)) {
    limits.input_cache_bytes = kLeastInputBytes;
    rules.may_forget_inputs = is_original;
  }
  if (random.Chance(0.4)) {
    limits.max_parameter_bytes = kParameterBytes * (1 + random.Below(5));
    limits.tenant_max_parameter_bytes =
        kParameterBytes * (1 + random.Below(limits.max_parameter_bytes / kParameterBytes));
    rules.limits_parameters = is_original;
  }
  rules.max_layers = limits.max_layers_per_session;
}

std::string EngineOptions::Print() const {
  constexpr const char* kStores[] = {"redis", "local", "sqlite", "none"};
  std::ostringstream text;
  text << " store=" << kStores[static_cast<int>(store)] << " servers=" << servers
       << " clients=" << clients << workload.Print() << " restarts=" << restarts;
  if (store == SimStore::kRedis) text << network.Print() << " wait_replicas=" << wait_replicas;
  if (store == SimStore::kLocal || store == SimStore::kSqlite) text << local.Print();
  if (rules.limits_sessions) {
    text << " max_sessions=" << limits.max_sessions << "/" << limits.tenant_max_sessions;
  }
  text << " max_layers=" << limits.max_layers_per_session << " max_steps=" << limits.max_steps
       << "/" << limits.tenant_max_steps << "/" << limits.max_steps_per_layer
       << " mask_cache=" << limits.mask_cache_bytes << " input_cache=" << limits.input_cache_bytes
       << " max_parameter_bytes=" << limits.max_parameter_bytes << "/"
       << limits.tenant_max_parameter_bytes;
  return std::move(text).str();
}

}  // namespace dropoutd
