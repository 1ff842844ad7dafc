#include "server/session/budgets.h"

#include <utility>

#include "server/session/quota_terms.h"

namespace dropoutd {

Budgets::Budgets(const Limits& limits, Holding holding)
    : holding_(holding),
      max_steps_per_layer_(limits.max_steps_per_layer),
      masks_(limits.mask_cache_bytes, limits.tenant_mask_cache_bytes),
      inputs_(limits.input_cache_bytes, limits.tenant_input_cache_bytes),
      steps_(StepTerms(limits)),
      parameters_(ParameterTerms(limits)) {}

TenantBudgetRef Budgets::Open(std::string_view tenant) {
  return tenants_.Open(tenant, [&] {
    auto budget = std::make_shared<TenantBudget>();
    budget->steps = steps_.Open(tenant);
    budget->parameters = parameters_.Open(tenant);
    budget->masks = masks_.Open(tenant);
    budget->inputs = inputs_.Open(tenant);
    return budget;
  });
}

absl::StatusOr<SharedParameters> Budgets::ChargeParameters(const TenantBudget& tenant,
                                                           Parameters parameters, bool may_refuse,
                                                           const SharedParameters& replaced) {
  const std::size_t size = parameters.byte_size();
  Charge charge;
  if (may_refuse) {
    const std::size_t replaced_size = replaced == nullptr ? 0 : replaced->byte_size();
    auto taken = parameters_.Take(tenant.parameters, size, replaced_size);
    if (!taken.ok()) return taken.status();
    charge = *std::move(taken);
  } else {
    charge = parameters_.TakeAnyway(tenant.parameters, size);
  }
  return ShareCharged(std::move(parameters), std::move(charge));
}

SharedParameters Budgets::WithoutCharge(const SharedParameters& parameters) {
  return std::make_shared<const Parameters>(*parameters);
}

std::optional<std::string> Budgets::TenantOverBudget() const {
  return parameters_.TenantOverLimit();
}

absl::Status Budgets::CheckStep(const TenantBudgetRef& tenant) const {
  const QuotaLimit broken = steps_.Breaks(*tenant->steps, 1);
  if (broken == QuotaLimit::kNone || holding_ == Holding::kCopies ||
      WhoForgets(tenant, broken) != nullptr) {
    return absl::OkStatus();
  }
  return steps_.Refusal(*tenant->steps, 1, broken);
}

absl::StatusOr<Charge> Budgets::TakeStep(const TenantBudgetRef& tenant) {
  while (true) {
    auto taken = steps_.Take(tenant->steps, 1);
    if (taken.ok()) return taken;
    // By now there may be room.
    const QuotaLimit broken = steps_.Breaks(*tenant->steps, 1);
    if (broken == QuotaLimit::kNone) continue;
    const TenantBudgetRef forgets = WhoForgets(tenant, broken);
    if (forgets != nullptr) {
      // If another call was faster there is room, or somebody else to ask.
      forgets->books.ForgetOne();
    } else if (holding_ == Holding::kCopies) {
      return steps_.TakeAnyway(tenant->steps, 1);
    } else {
      return taken;
    }
  }
}

TenantBudgetRef Budgets::WhoForgets(const TenantBudgetRef& tenant, QuotaLimit broken) const {
  TenantBudgetRef most = tenant->books.empty() ? nullptr : tenant;
  if (broken == QuotaLimit::kTenant) return most;
  // With one more the tenant would hold more than those who hold as many.
  std::size_t held = Quota::HeldBy(*tenant->steps);
  tenants_.ForEach([&](std::string_view, const TenantBudgetRef& other) {
    const std::size_t others = Quota::HeldBy(*other->steps);
    if (others <= held || other->books.empty()) return;
    most = other;
    held = others;
  });
  return most;
}

}  // namespace dropoutd
