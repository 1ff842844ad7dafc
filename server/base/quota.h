// A limit in all and for each tenant, and what is charged to it.
#ifndef DROPOUTD_SERVER_BASE_QUOTA_H_
#define DROPOUTD_SERVER_BASE_QUOTA_H_

#include <atomic>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/error.h"
#include "server/base/tenant_map.h"

namespace dropoutd {

// As a tenant's limit: only that in all counts.
inline constexpr std::size_t kNoTenantLimit = std::numeric_limits<std::size_t>::max();

// What one tenant holds of a quota. Thread-safe.
class QuotaAccount;
using QuotaAccountRef = std::shared_ptr<QuotaAccount>;

// An amount that a tenant holds until this goes, whichever way it goes. The default one is of
// nobody, and of nothing. May outlive its quota. Move-only, not thread-safe; accounts are.
class Charge {
 public:
  Charge() = default;
  ~Charge() { Refund(); }
  Charge(Charge&& other) noexcept
      : account_(std::move(other.account_)), amount_(std::exchange(other.amount_, 0)) {}
  Charge& operator=(Charge&& other) noexcept;

  std::size_t amount() const { return amount_; }

  // Takes over what `other` holds; both are of one account, or one is the default one.
  void Absorb(Charge other);

  // Gives `amount`, at most what it holds, back.
  void GiveBack(std::size_t amount);

  // Holds `amount` from now on. The quota's error, with nothing changed, if it is more and does not
  // fit. Not of the default one.
  absl::Status Resize(std::size_t amount);

  // Gives everything back.
  void Refund() noexcept;

 private:
  friend class Quota;
  Charge(QuotaAccountRef account, std::size_t amount)
      : account_(std::move(account)), amount_(amount) {}

  QuotaAccountRef account_;
  std::size_t amount_ = 0;
};

// Which limit an amount would break.
enum class QuotaLimit { kNone, kTenant, kTotal };

// What a quota is of. Where only `most` counts, for whoever it is of, that is the tenant's limit.
struct QuotaTerms {
  Reason reason = Reason::kInternal;  // Of its errors.
  const char* things = "";            // That it counts: "bytes of parameters".
  const char* flag = "";              // Sets `most`: "max_steps"; a tenant's is tenant_max_steps.
  std::size_t most = 0;
  std::size_t most_of_tenant = kNoTenantLimit;
  const char* remedy = "";          // Makes room: "release steps".
  const char* holder = "you have";  // Says whose `held` is: "the layer has".
};

// Refuses `amount` more, for the terms' reason: says which limit it breaks, what that allows, how
// much of it is held by who asks, if that is known, and what to do. It has no figure of another
// tenant. The only place that words such an error.
absl::Status QuotaError(const QuotaTerms& terms, QuotaLimit limit, std::size_t amount,
                        std::optional<std::size_t> held);

// One resource of this server. Thread-safe; only Open takes a lock.
class Quota {
 public:
  explicit Quota(const QuotaTerms& terms);

  // The account of a tenant, which lives as long as somebody holds it.
  QuotaAccountRef Open(std::string_view tenant);

  // The terms' reason if the amount does not fit; the message names the flag, and no figure of
  // another tenant. `replaced`: what the tenant holds by now and gives back as soon as it has this;
  // until then it holds both.
  absl::StatusOr<Charge> Take(const QuotaAccountRef& account, std::size_t amount,
                              std::size_t replaced = 0);
  absl::StatusOr<Charge> Take(std::string_view tenant, std::size_t amount,
                              std::size_t replaced = 0);

  // Beyond any limit.
  Charge TakeAnyway(const QuotaAccountRef& account, std::size_t amount);

  // What Take would say at this moment, and how it would say it.
  QuotaLimit Breaks(const QuotaAccount& account, std::size_t amount,
                    std::size_t replaced = 0) const;
  absl::Status Refusal(const QuotaAccount& account, std::size_t amount, QuotaLimit limit) const;

  std::size_t held() const;
  static std::size_t HeldBy(const QuotaAccount& account);
  std::size_t most() const;
  std::size_t most_of_tenant() const;  // At most most().

  // The tenant that holds most if all together hold too much, or one that does by itself; nothing
  // if none does.
  std::optional<std::string> TenantOverLimit() const;

  // Tenants that have, or have had lately, an account.
  std::size_t accounts() const { return accounts_.size(); }

 private:
  friend class QuotaAccount;
  struct Core;

  const std::shared_ptr<Core> core_;
  TenantMap<QuotaAccount> accounts_;
};

// `value`, whose last owner gives `charge` back.
template <typename T>
std::shared_ptr<const T> ShareCharged(T value, Charge charge) {
  struct Charged {
    T value;
    Charge charge;
  };
  auto both = std::make_shared<const Charged>(Charged{std::move(value), std::move(charge)});
  const T* const shared = &both->value;
  return std::shared_ptr<const T>(std::move(both), shared);
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_QUOTA_H_
