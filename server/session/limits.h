// Limits on what sessions may hold.
#ifndef DROPOUTD_SERVER_SESSION_LIMITS_H_
#define DROPOUTD_SERVER_SESSION_LIMITS_H_

#include <chrono>
#include <cstddef>

#include "server/base/quota.h"
#include "server/session/clock.h"

namespace dropoutd {

// Those of each tenant never allow more than the total.
struct Limits {
  std::size_t max_sessions = 250'000;
  std::size_t tenant_max_sessions = kNoTenantLimit;
  std::size_t max_layers_per_session = 1'024;
  std::size_t max_steps_per_layer = 65'536;  // Step records of one layer.
  std::size_t max_steps = 4'000'000;         // Step records in all.
  std::size_t tenant_max_steps = kNoTenantLimit;
  std::size_t mask_cache_bytes = std::size_t{256} << 20;
  std::size_t tenant_mask_cache_bytes = kNoTenantLimit;
  std::size_t input_cache_bytes = std::size_t{256} << 20;  // Of inputs that gradients need.
  std::size_t tenant_input_cache_bytes = kNoTenantLimit;
  std::size_t max_parameter_bytes = std::size_t{1} << 30;  // Of all layers' parameters.
  std::size_t tenant_max_parameter_bytes = kNoTenantLimit;
  std::size_t max_mask_bytes = std::size_t{64} << 20;      // Of one mask that GetMask makes.
  std::size_t max_snapshot_bytes = std::size_t{64} << 20;  // Of one exported session.
  std::size_t max_regions_per_session = 64;
  Nanoseconds default_ttl = std::chrono::hours(1);
  Nanoseconds max_ttl = std::chrono::hours(24 * 30);
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_LIMITS_H_
