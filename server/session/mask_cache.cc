#include "server/session/mask_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"

namespace dropoutd {

absl::StatusOr<MaskCache::Reservation> MaskCache::Reserve(const AccountRef& account,
                                                          std::size_t byte_size) {
  Reserved reserved = TryReserve(account, byte_size);
  if (reserved.reservation.has_value()) return *std::move(reserved.reservation);
  const bool is_own = reserved.broken == QuotaLimit::kTenant && tenant_budget() < budget();
  return MakeError(
      Reason::kQuotaMaskCache,
      absl::StrCat("a mask of ", byte_size, " bytes does not fit the mask cache: --",
                   is_own ? "tenant_mask_cache_bytes" : "mask_cache_bytes", " allows ",
                   is_own ? tenant_budget() : budget(),
                   reserved.broken == QuotaLimit::kTotal ? " in all" : "", ", of which ",
                   reserved.held, " hold your masks of sequential generators; release steps"));
}

}  // namespace dropoutd
