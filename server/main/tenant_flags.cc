#include "server/main/tenant_flags.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/main/flag_options.h"

namespace dropoutd {
namespace {

// Of `total`, rounded up so that a limit of 1 lets a tenant have it.
std::size_t Half(std::size_t total) { return total / 2 + total % 2; }

// Calls `use(name of the total's flag, total, tenant's, lowest, whether it counts bytes)` for each.
template <typename Use>
void ForEachTwin(Flags& flags, const Use& use) {
  Limits& limits = flags.limits;
  SharedMemoryOptions& regions = flags.shared_memory_options;
  use("max_sessions", limits.max_sessions, limits.tenant_max_sessions, 1, false);
  use("max_steps", limits.max_steps, limits.tenant_max_steps, 1, false);
  use("mask_cache_bytes", limits.mask_cache_bytes, limits.tenant_mask_cache_bytes, 0, true);
  use("input_cache_bytes", limits.input_cache_bytes, limits.tenant_input_cache_bytes, 0, true);
  use("max_parameter_bytes", limits.max_parameter_bytes, limits.tenant_max_parameter_bytes, 0,
      true);
  use("max_shared_memory_bytes", static_cast<std::size_t>(regions.max_bytes),
      regions.tenant_max_bytes, 4096, true);
}

}  // namespace

void AddTenantFlags(CLI::App& app, Flags& flags) {
  ForEachTwin(flags, [&](const std::string& total, std::size_t, std::size_t& own, std::int64_t low,
                         bool is_bytes) {
    const std::string flag = absl::StrCat("tenant_", total);
    const std::string help = absl::StrCat("As ", total, ", of each tenant");
    if (is_bytes) {
      AddBytes(app, flag, own, low, help);
    } else {
      AddCount(app, flag, own, low, help);
    }
    app.get_option("--" + flag)->default_str("half of it with credentials, else all");
  });
}

void SetTenantDefaults(Flags& flags) {
  const bool has_tenants = flags.security.has_tenants();
  ForEachTwin(flags, [&](const char*, std::size_t total, std::size_t& own, auto...) {
    if (own == kNoTenantLimit) own = has_tenants ? Half(total) : total;
  });
}

}  // namespace dropoutd
