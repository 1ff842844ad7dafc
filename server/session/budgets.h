// What all sessions of a server share.
#ifndef DROPOUTD_SERVER_SESSION_BUDGETS_H_
#define DROPOUTD_SERVER_SESSION_BUDGETS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/quota.h"
#include "server/base/tenant_map.h"
#include "server/dropout/parameters.h"
#include "server/session/limits.h"
#include "server/session/mask_cache.h"
#include "server/session/retained_input.h"
#include "server/session/step_shelf.h"

namespace dropoutd {

// What one tenant holds. Thread-safe. Whoever has sessions of the tenant holds it, so that it need
// not be looked for.
struct TenantBudget {
  QuotaAccountRef steps;
  QuotaAccountRef parameters;
  MaskCache::AccountRef masks;
  InputCache::AccountRef inputs;
  StepShelf books;
};
using TenantBudgetRef = std::shared_ptr<TenantBudget>;

// Whether what sessions hold here is all there is of it, or copies of what a store has. Copies are
// never refused: what is too much is forgotten, or reported.
enum class Holding { kOriginals, kCopies };

// Thread-safe. Must outlive what it gives out.
class Budgets {
 public:
  explicit Budgets(const Limits& limits, Holding holding = Holding::kOriginals);

  // `tenant`: as TenantOf gives it.
  TenantBudgetRef Open(std::string_view tenant);

  // The parameters, charged to the tenant until their last owner goes. QUOTA_PARAMETER_BYTES,
  // unless `may_refuse` is false. `replaced`, which may be null: those of the layer by now; they
  // need not fit beside the new ones, which take their place.
  absl::StatusOr<SharedParameters> ChargeParameters(const TenantBudget& tenant,
                                                    Parameters parameters, bool may_refuse,
                                                    const SharedParameters& replaced);

  // The same parameters, which do not hold the charge: for those who keep them longer than the
  // layer has them, and count their bytes elsewhere.
  static SharedParameters WithoutCharge(const SharedParameters& parameters);

  // Whether parameters of copies take more than they may. Then a tenant that must let idle copies
  // go: one beyond its own limit, else the one that holds most.
  std::optional<std::string> TenantOverBudget() const;
  bool over_budget() const { return TenantOverBudget().has_value(); }

  // Takes one step record for the tenant. Where the tenant, or all, have too many, whoever holds
  // most forgets one that can be made again, but nobody who holds less than the tenant.
  // QUOTA_STEPS; Check forgets none and takes none. No lock of a book may be held.
  absl::StatusOr<Charge> TakeStep(const TenantBudgetRef& tenant);
  absl::Status CheckStep(const TenantBudgetRef& tenant) const;

  MaskCache& masks() { return masks_; }
  InputCache& inputs() { return inputs_; }
  const MaskCache& masks() const { return masks_; }
  const InputCache& inputs() const { return inputs_; }
  Quota& steps() { return steps_; }
  const Quota& steps() const { return steps_; }
  const Quota& parameters() const { return parameters_; }
  std::size_t max_steps_per_layer() const { return max_steps_per_layer_; }
  Holding holding() const { return holding_; }

 private:
  // Who must forget a record so that `tenant` can have one more; null: nobody can.
  TenantBudgetRef WhoForgets(const TenantBudgetRef& tenant, QuotaLimit broken) const;

  const Holding holding_;
  const std::size_t max_steps_per_layer_;
  MaskCache masks_;
  InputCache inputs_;
  Quota steps_;
  Quota parameters_;
  TenantMap<TenantBudget> tenants_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_BUDGETS_H_
