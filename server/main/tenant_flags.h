// Flags that limit what each tenant holds, beside those that limit what all hold.
#ifndef DROPOUTD_SERVER_MAIN_TENANT_FLAGS_H_
#define DROPOUTD_SERVER_MAIN_TENANT_FLAGS_H_

#include <CLI/CLI.hpp>

#include "server/main/flags.h"

namespace dropoutd {

// Declares them. `flags` must outlive the app.
void AddTenantFlags(CLI::App& app, Flags& flags);

// Gives those that were not set their defaults: half of what all may hold, so that no tenant fills
// it, or, where calls have no tenants, all of it.
void SetTenantDefaults(Flags& flags);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_TENANT_FLAGS_H_
