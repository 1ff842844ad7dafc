#include "server/session/mask_cache.h"

#include <utility>

#include "server/session/quota_terms.h"

namespace dropoutd {

absl::StatusOr<MaskCache::Reservation> MaskCache::Reserve(const AccountRef& account,
                                                          std::size_t byte_size) {
  Reserved reserved = TryReserve(account, byte_size);
  if (reserved.reservation.has_value()) return *std::move(reserved.reservation);
  return QuotaError(MaskTerms(budget(), tenant_budget()), reserved.broken, Cost(byte_size),
                    reserved.held);
}

}  // namespace dropoutd
